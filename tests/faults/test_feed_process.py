"""The feed process dies while it loads, and the platform is down, hangs and lies (F17, F19, F22 to F24), over real processes."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from gateway.audit.receipt import verify_receipt
from gateway.base.canonical import canonical_json
from gateway.base.clock import SystemClock
from gateway.credit.feed_version import VersionKind
from gateway.sandbox.city import City
from gateway.sandbox.platform import FEED
from gateway.sandbox.publisher import Publisher
from tests.conftest import Database
from tests.fakes import gateway as kit
from tests.fakes import municipal as lies
from tests.fakes.gateway import TODAY, PartnerClient
from tests.fakes.processes import Served, serve
from tests.faults.checkers import check_log

pytestmark = pytest.mark.slow

BIG_CITY = 53_000
"""Merchants; with what is held against them more than 60,000 records."""
SOON_S = 30.0
_LOADING = "SELECT coalesce(max(tuples_processed), 0) FROM pg_stat_progress_copy WHERE datname = current_database()"


async def test_a_feed_process_killed_while_it_loads_leaves_the_last_good_version(
    database: Database, tmp_path: Path
) -> None:
    """SIGKILL in the middle of a snapshot: the old version goes on answering, the successor applies the new one whole."""
    admin = await database.connect()
    async with serve(database, tmp_path, workers=1) as served:
        partner = await served.partner()
        assert await version_told(partner) == 1
        lines = City(size=BIG_CITY, seed=7, today=TODAY).lines()
        await asyncio.to_thread(served.publisher.publish, VersionKind.SNAPSHOT, lines)

        dead = await kill_while_loading(served, admin)

        assert await stands_at(admin) == 1
        assert await version_told(partner) == 1
        told = [1]
        async with asyncio.timeout(SOON_S * 2):
            while told[-1] == 1:
                told.append(await version_told(partner))
        assert set(told) == {1, 2}
        assert served.feed() != dead
        held = await admin.fetchval("SELECT record_count FROM replica.feed_head")
        slot = await admin.fetchval("SELECT slot FROM replica.feed_head")
        stored = await admin.fetchval(
            "SELECT (SELECT count(*) FROM replica.subject WHERE slot = $1) + "
            "(SELECT count(*) FROM replica.record WHERE slot = $1) + "
            "(SELECT count(*) FROM replica.quarantine WHERE slot = $1)",
            slot,
        )
    await admin.close()
    await check_log(database, tmp_path)

    assert stored >= 60_000
    assert held in {stored, stored - 1}  # a line that cannot be read is held as such, not as a record


async def kill_while_loading(served: Served, admin: asyncpg.Connection) -> int:
    """Kill the feed process once the server has taken thousands of rows from it that nobody can see yet."""
    pid = served.feed()
    async with asyncio.timeout(SOON_S):
        while await admin.fetchval(_LOADING) < 2_000:
            assert await stands_at(admin) == 1, "too late: the version stands"
    await served.kill(pid)
    return pid


async def stands_at(admin: asyncpg.Connection) -> int:
    return await admin.fetchval("SELECT version FROM replica.feed_head")


async def ask(partner: PartnerClient) -> dict[str, Any]:
    status, _headers, answer = await partner.verify(kit.SERIOUS)
    assert status == 200, answer
    return answer


async def version_told(partner: PartnerClient) -> int:
    """Ask about a restricted merchant; it must never look clean. Return the version that the answer rests on."""
    answer = await ask(partner)
    assert answer["outcome"] == "restricted"
    return answer["feed_version"]


async def test_a_platform_that_is_down_or_lies_leaves_the_last_good_answers_until_they_are_too_old(
    database: Database, tmp_path: Path
) -> None:
    """Rows and metrics say why; answers go on from the last good version; past `max_stale` every worker says `unavailable`."""
    admin = await database.connect()
    async with serve(database, tmp_path, max_stale_s="3600") as served:
        partner = await served.partner()
        assert await version_told(partner) == 1

        served.platform.lies["/head.json"] = lies.instead(await asyncio.to_thread(forged_head, tmp_path))
        assert "signature_wrong" in await trouble(served, admin, "refused")
        served.platform.lies["/head.json"] = lies.server_error
        assert "status_503" in await trouble(served, admin, "unreachable")
        served.platform.lies["/head.json"] = lies.hang
        assert await version_told(partner) == 1

        # An hour and a half passes without a good word from the platform.
        await admin.execute("UPDATE replica.feed_head SET as_of_ms = as_of_ms - 5400000")
        stale = await outcomes_of_every_worker(served, partner, admin)
        assert stale == {"gw-test/worker-0": {"unavailable"}, "gw-test/worker-1": {"unavailable"}}

        # The platform is back: nobody has to help.
        served.platform.lies.clear()
        await recovered(partner)
        fresh = await outcomes_of_every_worker(served, partner, admin)
        assert fresh == {"gw-test/worker-0": {"restricted"}, "gw-test/worker-1": {"restricted"}}
    await admin.close()
    await check_log(database, tmp_path)


def forged_head(folder: Path) -> bytes:
    """Return a head as somebody else would sign it, under the name of the platform's key."""
    stranger = Publisher(folder / "stranger", feed=FEED, clock=SystemClock())
    stranger.publish(VersionKind.SNAPSHOT, City(size=1, seed=7, today=TODAY).lines())
    return stranger.head()


async def trouble(served: Served, admin: asyncpg.Connection, result: str) -> set[str]:
    """Wait until both a row and a counter tell of trouble; return the reasons they agree on."""
    counted = re.compile(rf'gateway_feed_{result}_total{{reason="([a-z0-9_]+)"}} [1-9]')
    async with asyncio.timeout(SOON_S):
        while True:
            rows = await admin.fetch("SELECT DISTINCT reason FROM replica.feed_event WHERE result = $1", result)
            told = {row["reason"] for row in rows} & set(counted.findall((await served.admin("/metrics"))[1]))
            if told:
                return told


async def recovered(partner: PartnerClient) -> None:
    async with asyncio.timeout(SOON_S * 2):
        while (await ask(partner))["outcome"] == "unavailable":
            pass


async def outcomes_of_every_worker(
    served: Served, partner: PartnerClient, admin: asyncpg.Connection
) -> dict[str, set[str]]:
    """Ask over new connections until both workers have answered three times; which one it was stands in the log."""
    outcomes: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    async with asyncio.timeout(SOON_S):
        while len(counts) < 2 or min(counts.values()) < 3:
            async with aiohttp.ClientSession() as session:
                answer = await ask(dataclasses.replace(partner, session=session))
            receipt = verify_receipt(canonical_json(answer), served.policy)
            writer = await admin.fetchval(
                "SELECT writer FROM audit.batch WHERE size = $1", receipt.proven.checkpoint.size
            )
            outcomes.setdefault(writer, set()).add(answer["outcome"])
            counts[writer] = counts.get(writer, 0) + 1
    return outcomes
