"""What the command line works with: an operator's powers, each change committed with its own leaf."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from gateway.audit.acts import Act
from gateway.audit.batch_mac import BatchMac
from gateway.audit.entry import LeafKind
from gateway.audit.fsck import Checks, fsck
from gateway.audit.fsck_against import KeptCheckpoint
from gateway.audit.fsck_report import FsckReport
from gateway.audit.guard import Doubt
from gateway.audit.merkle import leaf_hash
from gateway.audit.plaintext import open_plaintext
from gateway.audit.policy import render_policy
from gateway.base.canonical import canonical_json
from gateway.base.clock import Millis, SystemClock, utc_day
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.host_keys import load_host_keys
from gateway.base.sealing import CannotOpen, Sealer
from gateway.base.settings import Settings
from gateway.identity.key_policy import SubmittedKey
from gateway.identity.partner import Client, Partner, RegisteredKey
from gateway.postgres.feed_status import FeedStatus, read_feed_status
from gateway.postgres.fsck_reader import PostgresFsckReader
from gateway.postgres.log_reader import PostgresLogReader, RecentLeaf
from gateway.postgres.partner_store import (
    KeyAddition,
    KeyRevocation,
    ListedPartner,
    add_key,
    add_partner,
    end_key,
    judge_key,
    judge_revocation,
    list_keys,
    list_partners,
)
from gateway.postgres.pool import Connection, Pool, PoolSize, Target, open_pool
from gateway.postgres.queries import Queries
from gateway.verification.operator_ledger import About, OperatorLedger
from gateway.verification.registrations import RULES, key_row, partner_row
from gateway.wiring.feed import FeedPowers, open_feed
from gateway.wiring.log import guard_file, guarded_log, make_batch_mac, make_checkpoint_signer, running_committer
from gateway.wiring.metrics import Metrics
from gateway.wiring.parts import make_sealer, names
from gateway.worker.compare import Comparison, FeedProof, Round, RoundResult, compare_all
from gateway.worker.feed import TickOutcome, TickResult
from gateway.worker.proving import raise_doubt

PROCESS: Final = "operator"
T = TypeVar("T")


class _Change(Generic[T]):
    """A rider that keeps what its change returned."""

    def __init__(self, change: Callable[[Connection], Awaitable[T]]) -> None:
        self._change: Final = change
        self.result: T | None = None

    async def ride(self, transaction: object) -> None:
        self.result = await self._change(transaction)

    def returned(self) -> T:
        if self.result is None:
            raise GatewayError(ErrorKind.INTERNAL)
        return self.result


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """``gateway.cli.operator.Operator`` on PostgreSQL."""

    settings: Settings
    pool: Pool
    queries: Queries
    ledger: OperatorLedger
    reader: PostgresLogReader
    sealer: Sealer
    batch_mac: BatchMac
    policy_text: str
    clock: SystemClock
    metrics: Metrics

    async def add_partner(self, partner: Partner) -> int:
        """Bring a partner on; return the index of its leaf."""

        async def change(connection: Connection) -> bool:
            await add_partner(connection, self.queries, partner, self.clock.now_ms())
            return True

        said = canonical_json(partner_row(partner))
        about = About(partner_id=partner.partner_id)
        return await self.ledger.act(LeafKind.PARTNER, Act.PARTNER_ADD, said, _Change(change), about=about)

    async def list_partners(self) -> Sequence[ListedPartner]:
        """Return all partners."""
        async with self.pool.acquire() as connection:
            return await list_partners(connection, self.queries)

    async def add_key(
        self, client_id: str, submitted: SubmittedKey, not_before_ms: Millis
    ) -> tuple[RegisteredKey, int]:
        """Register a key; return it and the index of its leaf.

        The leaf says the whole row, so it is made from what the key would be now; under the lock it must still come out so.
        """
        addition = KeyAddition(
            client_id=client_id, submitted=submitted, not_before_ms=not_before_ms, now=self.clock.now_ms()
        )

        async with self.pool.acquire() as connection:
            planned = _planned(*await judge_key(connection, self.queries, addition))

        async def change(connection: Connection) -> RegisteredKey:
            key = await add_key(connection, self.queries, addition)
            planned.require(key)
            return key

        rider = _Change(change)
        index = await self.ledger.act(LeafKind.KEY, Act.KEY_ADD, planned.said, rider, about=planned.about)
        return rider.returned(), index

    async def list_keys(self, client_id: str) -> Sequence[RegisteredKey]:
        """Return all keys of a client."""
        async with self.pool.acquire() as connection:
            return await list_keys(connection, self.queries, client_id)

    async def revoke_key(self, key: str, *, client_id: str | None, compromised: bool) -> tuple[RegisteredKey, int]:
        """Take a key out of use; when this returns, no audit commit admits it any more."""
        revocation = KeyRevocation(client_id=client_id, key=key, compromised=compromised, now=self.clock.now_ms())

        async with self.pool.acquire() as connection:
            planned = _planned(*await judge_revocation(connection, self.queries, revocation))

        async def change(connection: Connection) -> RegisteredKey:
            _client, ended = await end_key(connection, self.queries, revocation)
            planned.require(ended)
            return ended

        rider = _Change(change)
        index = await self.ledger.act(LeafKind.KEY, Act.KEY_REVOKE, planned.said, rider, about=planned.about)
        return rider.returned(), index

    async def feed_pull(self, *, approve: int | None = None) -> TickOutcome:
        """Look for a new version once, now; an approval is on record before it has effect."""
        await self._approve(approve)
        async with open_feed(self.settings, self.metrics) as feed:
            return await feed.loop.tick(approve=approve)

    async def feed_reload(
        self, progress: Callable[[int], None], *, approve: int | None = None
    ) -> tuple[TickOutcome, FeedProof | None]:
        """Load what stands once more from the signed files, on record; compare all of it, and end a doubt if it is right."""
        await self._approve(approve)
        said = canonical_json({"feed": self.settings.feed_name})
        await self.ledger.act(LeafKind.FEED, "feed.reload", said, None)
        async with open_feed(self.settings, self.metrics) as feed:
            outcome = await feed.loop.tick(approve=approve, anew=True)
            if outcome.result is not TickResult.CURRENT:
                return outcome, None
            found = await compare_all(Comparison(feed.guard, feed.pages), progress)
            if found.result is RoundResult.CLEAN and await feed.guard.resolve_doubt():
                self.metrics.replica_doubted(doubted=False)
            return outcome, await self._proof(feed, found)

    async def feed_verify(self, progress: Callable[[int], None]) -> FeedProof:
        """Compare every row of the replica with what was signed; a difference stops the answers of this host."""
        async with open_feed(self.settings, self.metrics) as feed:
            found = await compare_all(Comparison(feed.guard, feed.pages), progress)
            return await self._proof(feed, found)

    async def _proof(self, feed: FeedPowers, found: Round) -> FeedProof:
        if found.result is RoundResult.DIFFERS:
            await raise_doubt(feed.guard, self.metrics, found.finding, self.clock.now_ms())
        return FeedProof(round=found, doubted=await feed.guard.doubted())

    async def _approve(self, version: int | None) -> None:
        if version is not None:
            said = canonical_json({"feed": self.settings.feed_name, "version": version})
            await self.ledger.act(LeafKind.FEED, "feed.approve", said, None)

    async def feed_status(self) -> FeedStatus:
        """Return which version is answered from and what happened lately."""
        async with self.pool.acquire() as connection:
            return await read_feed_status(connection, self.queries, self.settings.feed_name)

    async def recent_leaves(self, limit: int) -> Sequence[RecentLeaf]:
        """Return the latest leaves, newest first."""
        return await self.reader.recent(limit)

    async def leaf(self, index: int) -> RecentLeaf:
        """Return one leaf; ``NOT_FOUND`` if the log has not grown to it."""
        found = await self.reader.recent(1, before=index + 1)
        if not found or found[0].leaf_index != index:
            raise GatewayError(ErrorKind.NOT_FOUND, reason="leaf_unknown")
        return found[0]

    async def opened(self, index: int) -> bytes | None:
        """Return the sealed plaintext of a leaf, or ``None`` if it was erased, is empty, or another host's key sealed it."""
        stored = await self.reader.sealed(index)
        if stored is None:
            return None
        digest = leaf_hash(stored.leaf)
        try:
            return open_plaintext(self.sealer, stored.sealed, digest, stored.salt, stored.key_id) or None
        except CannotOpen:
            return None

    @property
    def origin(self) -> str:
        """The name of the log."""
        return self.settings.log_origin

    def guarded(self) -> KeptCheckpoint | None:
        """Return the last tree that this host has vouched for; None if its guard is missing or cannot be read."""
        guard = guard_file(self.settings)
        state = guard.read()
        guard.close()
        if state.doubt in {Doubt.GUARD_MISSING, Doubt.GUARD_UNUSABLE}:
            return None
        return KeptCheckpoint("guard", state.last.size, state.last.root)

    async def fsck(
        self, against: tuple[KeptCheckpoint, ...], progress: Callable[[int], None], *, shallow: bool
    ) -> FsckReport:
        """Check the whole log and what stands beside it."""
        checks = Checks(
            origin=self.settings.log_origin,
            batch_mac=self.batch_mac,
            sealer=self.sealer,
            today=utc_day(self.clock.now_ms() // 1000),
            shallow=shallow,
            against=against,
            holders=RULES,
        )
        whole = PostgresFsckReader(self.pool, self.queries, log_id=self.settings.log_id)
        return await fsck(whole, checks, progress=progress)

    async def log_policy(self) -> str:
        """Return the C2SP tlog-policy that trusts this host's log key."""
        return self.policy_text


@dataclass(frozen=True, slots=True)
class _Planned:
    """A change of a key as its leaf says it, made before the change happens."""

    about: About
    said: bytes

    def require(self, key: RegisteredKey) -> None:
        """Refuse a change that the leaf would not say: somebody changed the partner or the key meanwhile."""
        if canonical_json(key_row(key, self.about.partner_id or "")) != self.said:
            raise GatewayError(ErrorKind.CONFLICT, reason="changed_meanwhile")


def _planned(client: Client, key: RegisteredKey) -> _Planned:
    partner_id = client.partner.partner_id
    about = About(partner_id=partner_id, credential=key.thumbprint)
    return _Planned(about, canonical_json(key_row(key, partner_id)))


@asynccontextmanager
async def open_operator(settings: Settings) -> AsyncIterator[Operator]:
    """Build an operator's powers for the length of a block."""
    keys = load_host_keys(settings)
    metrics = Metrics(settings.feed_name)
    dsn = settings.operator_database_dsn
    pool = await open_pool(Target(dsn=dsn, application_name="credit-gateway operator"), PoolSize(minimum=1, maximum=3))
    try:
        sealer = make_sealer(keys)
        queries = Queries.load()
        reader = PostgresLogReader(pool, queries, log_id=settings.log_id)
        async with (
            guarded_log(settings, keys, reader) as guardian,
            running_committer(settings, dsn, guardian, metrics, process=PROCESS) as committer,
        ):
            yield Operator(
                settings=settings,
                pool=pool,
                queries=queries,
                ledger=OperatorLedger(committer, sealer, names(settings), SystemClock()),
                reader=reader,
                sealer=sealer,
                batch_mac=make_batch_mac(settings, keys),
                policy_text=render_policy([make_checkpoint_signer(settings, keys).vkey]),
                clock=SystemClock(),
                metrics=metrics,
            )
    finally:
        await pool.close()
