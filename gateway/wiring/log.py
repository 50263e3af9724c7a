"""The log of one process: its guard file, its guardian, its committer.

For: every process that appends or signs. Not for: what a doubt means (``gateway.audit.guard``).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from gateway.audit.batch_mac import BatchMac, TreePoint
from gateway.audit.checkpoint import CheckpointSigner
from gateway.audit.committer import BatchGuardian, Committer, CommitterMetrics, Pace
from gateway.audit.entry import LeafKind
from gateway.audit.guard import Doubt
from gateway.audit.guardian import LogGuardian
from gateway.audit.merkle import EMPTY_ROOT
from gateway.audit.note import NoteSigner
from gateway.audit.readers import HeadReader
from gateway.base.crypto import Ed25519Signer
from gateway.base.errors import GatewayError
from gateway.base.host_keys import HostKeys
from gateway.base.log import get_logger
from gateway.base.secret import Secret
from gateway.base.setting_faults import SettingFault, SettingsError
from gateway.base.settings import Settings
from gateway.guard.log_guard import LogGuardFile
from gateway.postgres.log_store import PostgresLogStore
from gateway.postgres.pool import COMMITTER_SETTINGS, Target, connect
from gateway.postgres.queries import Queries
from gateway.verification.operator_ledger import OperatorLedger

FLUSH_S: Final = 0.1
"""Between two writes of the guard to the disk: what a power cut may take from it. The log itself is on the disk before it is signed."""
COMMIT_FAILING: Final = "commit_failing"
"""What a process says whose last commit failed."""
_EMPTY: Final = TreePoint(0, EMPTY_ROOT)
_log = get_logger()


class CommitProbe:
    """Knows whether commits work, and finds out whether they do again.

    A process whose last commit failed is not ready, however well it reads. Requests then stop coming, so it tries by itself: with an
    ordinary leaf, for nothing less shows that leaves can be committed. One leaf says that it could.
    """

    def __init__(self, committer: Committer, acts: OperatorLedger) -> None:
        self._committer: Final = committer
        self._acts: Final = acts
        self._trying: asyncio.Task[None] | None = None  # owned by the event loop's thread

    def reason(self) -> str | None:
        """Return why requests should not come, and see to it that somebody tries; None when the last commit worked."""
        if not self._committer.failing:
            return None
        if self._trying is None or self._trying.done():
            self._trying = asyncio.create_task(self._try(), name="commit-probe")
        return COMMIT_FAILING

    async def tried(self) -> None:
        """Return when the present try has ended, one way or the other."""
        if self._trying is not None:
            await asyncio.wait({self._trying})

    async def close(self) -> None:
        """Give up."""
        if self._trying is not None:
            self._trying.cancel()
            await self.tried()

    async def _try(self) -> None:
        with contextlib.suppress(GatewayError):
            await self._acts.act(LeafKind.CONFIG, "log.probe", b"{}", None)


class DoubtLine:
    """Writes the one line of a doubt."""

    def log_doubted(self, doubt: Doubt, seen: TreePoint | None, kept: Sequence[TreePoint]) -> None:
        """Say what the database shows and what the guard holds."""
        _log.error("log_doubted", reason=doubt, size=None if seen is None else seen.size, signed_size=kept[-1].size)


def make_checkpoint_signer(settings: Settings, keys: HostKeys) -> CheckpointSigner:
    """Return this host's log key, named after the log's origin."""
    return CheckpointSigner(NoteSigner(settings.log_origin, Ed25519Signer(keys.log_signing)))


def make_batch_mac(settings: Settings, keys: HostKeys) -> BatchMac:
    """Return the MAC that all hosts of the log share."""
    return BatchMac(keys.batch_mac, settings.log_origin)


def guard_file(settings: Settings) -> LogGuardFile:
    """Return this host's guard of the log, which may not exist yet."""
    return LogGuardFile(settings.guard_dir / f"log-{settings.log_id}.guard", settings.log_origin)


@asynccontextmanager
async def guarded_log(
    settings: Settings, keys: HostKeys, reading: HeadReader, *, guardian: type[LogGuardian] = LogGuardian
) -> AsyncIterator[LogGuardian]:
    """Guard the log for the length of a block, and compare it with what this host has signed before anything else.

    An empty log without a guard gets one. A log with leaves and no guard is doubted, like one that contradicts its guard: the process
    goes on, says why it is not ready, and signs nothing.
    """
    guard = guard_file(settings)
    try:
        await _begin(guard, reading)
    except OSError as exc:
        fault = SettingFault(name="GATEWAY_GUARD_DIR", code="not_writable", params={"file": str(guard.file)})
        raise SettingsError((fault,)) from exc
    made = guardian(make_checkpoint_signer(settings, keys), make_batch_mac(settings, keys), guard, reading, DoubtLine())
    flushing = asyncio.create_task(_flush_on(guard), name="guard-flush")
    try:
        yield made
    finally:
        flushing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await flushing
        guard.close()


async def _begin(guard: LogGuardFile, reading: HeadReader) -> None:
    if guard.exists():
        return
    head = await reading.head()
    if head.size == 0:
        with contextlib.suppress(FileExistsError):  # another process of this host was faster
            guard.create(_EMPTY)


async def _flush_on(guard: LogGuardFile) -> None:
    while True:
        await asyncio.sleep(FLUSH_S)
        await asyncio.to_thread(guard.flush)


@asynccontextmanager
async def running_committer(
    settings: Settings, dsn: Secret, guardian: BatchGuardian, metrics: CommitterMetrics, *, process: str
) -> AsyncIterator[Committer]:
    """Run the audit commit for the length of a block; what is queued at its end is still committed.

    If the writer task fails, the block is cancelled: a process that cannot commit must not go on answering.
    """
    target = Target(dsn=dsn, application_name=f"credit-gateway {process} log", settings=COMMITTER_SETTINGS)
    store = PostgresLogStore(lambda: connect(target), Queries.load("audit"), log_id=settings.log_id)
    writer = f"{settings.host_name}/{process}"
    committer = Committer(store, guardian, metrics, writer=writer, pace=Pace(queue_limit=settings.commit_queue))
    owner = asyncio.current_task()
    writing = asyncio.create_task(committer.run(), name="audit-commit")

    def end_owner(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None and owner is not None:
            owner.cancel()

    writing.add_done_callback(end_owner)
    try:
        yield committer
    finally:
        committer.close()
        try:
            await writing  # a TaskGroup would wrap what the block itself raises
        finally:
            await store.close()
