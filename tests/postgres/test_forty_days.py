"""What is remembered for a time only: never forgotten before its time, always after it, whatever one clock says.

Instants are simulated, four hundred days ago: they are handed in, the way the feed process hands in its clock. PostgreSQL is the real
one, and so the whole file runs under a database whose clock, and whose newest batch, are more than a year ahead of everybody else.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import asyncpg
import pytest
from msgspec.structs import replace

from gateway.audit.committer import Committer
from gateway.audit.ports import Committed, IdempotencyClaim, PendingEntry, Refusal, Refused
from gateway.base.clock import DAY_MS, Millis, from_datetime
from gateway.base.errors import GatewayError
from gateway.base.onetime import OneTimeId
from gateway.identity.assertion import MAX_LIFETIME_S, AssertionRefused, parse_assertion, verify_assertion
from gateway.identity.proof import MAX_PROOF_AGE_S
from gateway.postgres.housekeeping import KEYS_AT_ONCE, PARTITION_DAYS, Forgotten, forget_what_is_over, make_partitions
from gateway.postgres.log_store import PostgresLogStore
from gateway.postgres.queries import Queries
from gateway.wiring.feed import run_feed
from tests.conftest import LOG_ID, Database
from tests.fakes.entries import make_entry, running
from tests.fakes.gateway import make_settings, running_platform
from tests.fakes.guard import make_guardian
from tests.fakes.partners import insert_live_key
from tests.unit.identity.kit import (
    ORIGIN,
    TOKEN_PATH,
    FakeClock,
    make_assertion,
    make_client,
    make_verifier,
    token_proof,
    verify_proof,
)

FIRST = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=400)
DAYS = 40
DAY = dt.timedelta(days=1)
QUERIES = Queries.load("audit")
CREDENTIAL = "k" * 43
KEPT_KEYS_MS = 3 * DAY_MS
MOST_PARTITIONS = PARTITION_DAYS + 4
"""Those ahead, today, two days that are kept, and in the first minutes of a day a third."""
NAMES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^request_[0-9]{8}$' ORDER BY relname"
_numbers = count()


def at(day: dt.date, clock: str = "00:00:00") -> Millis:
    return from_datetime(dt.datetime.combine(day, dt.time.fromisoformat(clock), dt.UTC))


def partition(day: dt.date) -> str:
    return f"request_{day:%Y%m%d}"


@dataclass
class House:
    """A log with its housekeeping, at instants that a test names."""

    database: Database
    admin: asyncpg.Connection
    feed: asyncpg.Connection
    committer: Committer

    async def keep(self, now: Millis) -> Forgotten:
        """What the feed process does once an hour."""
        await make_partitions(self.feed, QUERIES, now)
        return await forget_what_is_over(self.feed, QUERIES, now)

    async def partitions(self) -> list[str]:
        return [row["relname"] for row in await self.admin.fetch(NAMES)]

    async def simulated(self) -> list[str]:
        """The partitions of simulated days; those of the real present are none of the simulation's business, but must stay."""
        return [name for name in await self.partitions() if name < partition(FIRST + 200 * DAY)]

    async def claim(self, *claims: OneTimeId, key_ms: Millis | None = None) -> Committed | Refused:
        entry: PendingEntry = replace(make_entry(credential=CREDENTIAL), claims=claims)
        if key_ms is not None:
            kept = IdempotencyClaim(
                partner_id="prt_1",
                operation="verify",
                key_hash=next(_numbers).to_bytes(32, "big"),
                body_hash=bytes(32),
                verification_id=str(entry.verification_id),
                created_ms=key_ms,
            )
            entry = replace(entry, idempotency=kept)
        return await self.committer.submit(entry)

    async def keys(self) -> list[int]:
        rows = await self.admin.fetch("SELECT created_ms FROM audit.idempotency ORDER BY created_ms")
        return [row["created_ms"] for row in rows]


@pytest.fixture
async def house(database: Database) -> AsyncIterator[House]:
    store = PostgresLogStore(lambda: database.connect("gateway_api"), QUERIES, log_id=LOG_ID)
    admin, feed = await database.connect(), await database.connect("gateway_feed")
    await insert_live_key(admin, CREDENTIAL)
    async with running(store, make_guardian()) as committer:
        yield House(database, admin, feed, committer)
    await store.close()
    await feed.close()
    await admin.close()


def proof_claim(text: str, now: Millis) -> OneTimeId:
    """What a worker whose clock says ``now`` makes of a proof; ``GatewayError`` outside its window."""
    verifier = make_verifier(clock=FakeClock(now))
    return verify_proof(verifier, [text], method="POST", path=TOKEN_PATH, token=None).claim


def assertion_claim(text: str, now: Millis) -> OneTimeId:
    """The same for an assertion; ``AssertionRefused`` from its end on."""
    unverified = parse_assertion(text, issuer=ORIGIN, client_id=None, now=now)
    return verify_assertion(unverified, make_client(), now=now).claim


@dataclass(frozen=True)
class Used:
    """A proof and an assertion that were made and used at one instant. The assertion says it lives for an hour, as stock clients say."""

    proof: str
    assertion: str
    made: Millis


async def use(house: House, made: Millis) -> Used:
    """Use both, and an idempotency key, once."""
    number = next(_numbers)
    used = Used(
        token_proof(iat=made // 1000, jti=f"proof-{number:08}"),
        make_assertion(iat=made // 1000, exp=made // 1000 + 3600, jti=f"assertion-{number:08}"),
        made,
    )
    outcome = await house.claim(
        proof_claim(used.proof, made), assertion_claim(used.assertion, made), key_ms=Millis(made)
    )
    assert isinstance(outcome, Committed)
    return used


async def expect_replays_refused(house: House, used: Used) -> None:
    """Until its window ends each is known to be used, and then no worker takes it; no second is between."""
    for seconds in (1, 299):
        now = Millis(used.made + seconds * 1000)
        for claim in (proof_claim(used.proof, now), assertion_claim(used.assertion, now)):
            assert await house.claim(claim) == Refused(Refusal.REPLAYED, claim)
    with pytest.raises(GatewayError, match="iat_window"):
        proof_claim(used.proof, Millis(used.made + (MAX_PROOF_AGE_S + 1) * 1000))
    with pytest.raises(AssertionRefused, match="iat_window"):
        assertion_claim(used.assertion, Millis(used.made + MAX_LIFETIME_S * 1000))


async def expect_dropped_when_due(house: House, day: dt.date) -> None:
    """At five past midnight, and not a millisecond before, the day before the day before yesterday goes, and it alone."""
    before = await house.keep(at(day, "00:04:59.999"))
    held = await house.simulated()
    due = await house.keep(at(day, "00:05:00"))

    assert (before.days, before.held_up, due.held_up) == ((), False, False)
    assert len(held) <= MOST_PARTITIONS
    if day >= FIRST + 3 * DAY:
        assert partition(day - 3 * DAY) in held
        assert due.days == (day - 3 * DAY,)
    assert await house.simulated() == [partition(day + n * DAY) for n in range(-2, PARTITION_DAYS + 1)]


async def test_forty_days(house: House) -> None:
    """Coming partitions stand, what was used is known to be used, across midnight too, and what is over goes when it is due."""
    present = set(await house.partitions())
    made: list[int] = []
    tonight: Used | None = None
    for day in (FIRST + n * DAY for n in range(DAYS)):
        await house.keep(at(day))
        if tonight is not None:
            await expect_replays_refused(house, tonight)
        morning = await use(house, at(day, "00:01:00"))
        await expect_dropped_when_due(house, day)
        await expect_replays_refused(house, morning)
        for moment in ("12:00:00", "23:57:00"):
            assert (await house.keep(at(day, moment))).days == ()
        tonight = await use(house, at(day, "23:58:00"))
        made += [morning.made, tonight.made]
        assert await house.keys() == [key for key in made if key >= at(day, "23:57:00") - KEPT_KEYS_MS]

    assert present <= set(await house.partitions())
    assert len(await house.keys()) == 2 * 3 + 1


async def take(house: House, day: dt.date) -> OneTimeId:
    """Take one id of a day, whose partition is made."""
    await make_partitions(house.feed, QUERIES, at(day))
    claim = OneTimeId(day, next(_numbers).to_bytes(16, "big"))
    assert isinstance(await house.claim(claim, key_ms=at(day)), Committed)
    return claim


@pytest.mark.parametrize("leap", [DAY, 4 * DAY, 365 * DAY], ids=str)
async def test_clocks_of_ours_that_leap_together_forget_nothing(house: House, leap: dt.timedelta) -> None:
    """Feed process, database and newest batch all say it is later; no partner has signed anything later, so nothing is over."""
    claim = await take(house, FIRST)

    forgotten = [
        await forget_what_is_over(house.feed, QUERIES, Millis(at(FIRST + leap) + n * 3_600_000)) for n in range(3)
    ]

    assert {(one.days, one.keys) for one in forgotten} == {((), 0)}
    assert await house.claim(claim) == Refused(Refusal.REPLAYED, claim)


async def test_the_callers_clock_alone_forgets_nothing(house: House) -> None:
    """Ids of today, and a feed process whose host says that a year has passed."""
    today = dt.datetime.now(dt.UTC).date()
    claim = await take(house, today)
    before = await house.partitions()

    forgotten = await forget_what_is_over(house.feed, QUERIES, at(today + 365 * DAY))

    assert (forgotten.days, forgotten.keys) == ((), 0)
    assert await house.partitions() == before
    assert await house.claim(claim) == Refused(Refusal.REPLAYED, claim)


async def test_while_nobody_signs_nothing_is_forgotten_and_after_the_next_query_all_of_it(house: House) -> None:
    """An idle gateway keeps one small partition for each day; its first query is what says that they are over."""
    await take(house, FIRST)
    idle = [(await house.keep(at(FIRST + n * DAY, "01:00:00"))).days for n in range(1, 21)]
    await take(house, FIRST + 21 * DAY)

    busy = await house.keep(at(FIRST + 21 * DAY, "01:00:00"))

    assert idle == [()] * 20
    assert len(busy.days) == 21
    assert await house.simulated() == [partition(FIRST + n * DAY) for n in range(19, 29)]


SETTLED = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
YEAR_AHEAD = SETTLED + 365 * DAY


SETTLING = [
    ((SETTLED, SETTLED, SETTLED, SETTLED.date()), SETTLED),
    ((YEAR_AHEAD, SETTLED, SETTLED, SETTLED.date()), SETTLED),
    ((SETTLED, YEAR_AHEAD, SETTLED, SETTLED.date()), SETTLED),
    ((SETTLED, SETTLED, YEAR_AHEAD, SETTLED.date()), SETTLED),
    ((SETTLED, SETTLED, SETTLED, YEAR_AHEAD.date()), SETTLED),
    ((SETTLED, YEAR_AHEAD, YEAR_AHEAD, SETTLED.date()), SETTLED),
    ((YEAR_AHEAD, YEAR_AHEAD, YEAR_AHEAD, SETTLED.date()), dt.datetime(2026, 3, 11, tzinfo=dt.UTC)),
    ((None, SETTLED, SETTLED, SETTLED.date()), None),
    ((SETTLED, SETTLED, None, SETTLED.date()), None),
    ((SETTLED, SETTLED, SETTLED, None), None),
]


async def test_the_earliest_clock_decides(house: House) -> None:
    """Asked, database, newest batch, newest signed day: one that leaps changes nothing, nor do two; who says nothing stops all."""
    ask = "SELECT audit.settled($1, $2, $3, $4)"

    assert [await house.admin.fetchval(ask, *clocks) for clocks, _ in SETTLING] == [settled for _, settled in SETTLING]


async def test_a_day_is_over_two_days_after_its_last_proof(house: House) -> None:
    """The instant follows from how long proofs and assertions serve: whoever lengthens that must lengthen this."""
    last_use = dt.datetime.combine(FIRST + DAY, dt.time(), dt.UTC) + dt.timedelta(seconds=MAX_PROOF_AGE_S)
    due = last_use + 2 * DAY
    ask = "SELECT audit.last_replayable_day_over($1)"

    assert MAX_LIFETIME_S <= MAX_PROOF_AGE_S
    assert await house.admin.fetchval(ask, due - dt.timedelta(milliseconds=1)) == FIRST - DAY
    assert await house.admin.fetchval(ask, due) == FIRST


async def test_a_day_that_was_forgotten_is_not_made_again(house: House) -> None:
    """A worker whose clock is a week behind would take a used id a second time: it finds no partition, and cannot commit."""
    claim = await take(house, FIRST)
    await take(house, FIRST + 7 * DAY)
    forgotten = await house.keep(at(FIRST + 7 * DAY, "01:00:00"))
    assert FIRST in forgotten.days

    for day in (FIRST, FIRST + DAY, FIRST + 3 * DAY):
        await make_partitions(house.feed, QUERIES, at(day))

    worker = await house.database.connect("gateway_api")
    with pytest.raises(asyncpg.CheckViolationError, match="no partition"):
        await worker.execute("INSERT INTO audit.request VALUES ($1, $2, $3)", LOG_ID, claim.day, claim.digest)
    await worker.close()
    assert (await house.simulated())[0] == partition(FIRST + 5 * DAY)


async def test_a_reader_of_the_log_holds_up_the_forgetting_and_nothing_else(house: House) -> None:
    """A backup has the log open: partitions are made, commits go on, and what is over waits for the next turn."""
    await take(house, FIRST)
    reader = await house.database.connect()
    reading = reader.transaction()
    await reading.start()
    await reader.fetchval("SELECT count(*) FROM audit.request")
    claim = await take(house, FIRST + 7 * DAY)
    now = at(FIRST + 7 * DAY, "01:00:00")

    async with asyncio.timeout(10):  # who waits here waits for the reader, that is for ever
        meanwhile, used = await asyncio.gather(house.keep(now), house.claim(claim))
    held = await house.simulated()
    await reading.rollback()
    afterwards = await house.keep(now)
    await reader.close()

    assert meanwhile == Forgotten(days=(), keys=0, held_up=True)
    assert used == Refused(Refusal.REPLAYED, claim)
    assert partition(FIRST) in held
    assert not afterwards.held_up
    assert FIRST in afterwards.days
    assert partition(FIRST) not in await house.simulated()


async def test_a_key_that_somebody_holds_is_left_for_the_next_turn(house: House) -> None:
    """Batches of keys skip what is locked, and never wait."""
    await take(house, FIRST)
    made = [(n.to_bytes(32, "little"), at(FIRST) + n) for n in range(1, KEYS_AT_ONCE + 3)]
    await house.admin.executemany(
        "INSERT INTO audit.idempotency VALUES (1, 'prt_2', 'verify', $1, $1, 'ver_x', $2)", made
    )
    await take(house, FIRST + 7 * DAY)
    holder = await house.database.connect()
    holding = holder.transaction()
    await holding.start()
    await holder.fetch("SELECT 1 FROM audit.idempotency WHERE created_ms = $1 FOR UPDATE", made[1][1])
    now = at(FIRST + 7 * DAY, "01:00:00")

    first = await house.keep(now)
    left = await house.keys()
    await holding.rollback()
    second = await house.keep(now)
    await holder.close()

    assert (first.keys, second.keys) == (KEYS_AT_ONCE + 2, 1)
    assert left == [made[1][1], at(FIRST + 7 * DAY)]
    assert await house.keys() == [at(FIRST + 7 * DAY)]


async def test_two_feed_processes_keep_one_house(house: House) -> None:
    """Both hosts wake at the same moment: what is over goes once, and neither fails."""
    await take(house, FIRST)
    await take(house, FIRST + 7 * DAY)
    other = await house.database.connect("gateway_feed")
    now = at(FIRST + 7 * DAY, "01:00:00")

    turns = await asyncio.gather(
        *(forget_what_is_over(connection, QUERIES, now) for connection in (house.feed, other) * 1)
    )
    rest = await house.keep(now)
    await other.close()

    days = [day for turn in (*turns, rest) for day in turn.days]
    assert FIRST in days
    assert len(days) == len(set(days))
    assert sum(turn.keys for turn in (*turns, rest)) == 1


@dataclass
class Line:
    """A line to nobody."""

    stopping: asyncio.Event
    ready: bool = False

    def report(self, reasons: Sequence[str]) -> None:
        self.ready = not reasons


async def test_the_feed_process_does_it(house: House, tmp_path: Path) -> None:
    """Once started, by the machine's clock, whatever the platform does meanwhile."""
    today = dt.datetime.now(dt.UTC).date()
    await take(house, today - 10 * DAY)
    await take(house, today)
    line = Line(asyncio.Event())
    async with running_platform(tmp_path, 5) as (feed_url, _publisher):
        settings = make_settings(house.database, tmp_path, "http://127.0.0.1:9", feed_url=feed_url)
        feeding = asyncio.create_task(run_feed(settings, line))
        async with asyncio.timeout(30):
            while partition(today - 10 * DAY) in await house.partitions() or len(await house.keys()) > 1:
                assert not feeding.done()
        line.stopping.set()
        await feeding

    assert line.ready
    assert (await house.partitions())[0] == partition(today - 2 * DAY)
    assert await house.keys() == [at(today)]
