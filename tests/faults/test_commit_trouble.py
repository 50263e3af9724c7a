"""What a partner is told when the audit commit is in trouble (F5, F14, F16): an answer that is on record, or 503 and when to come back."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gateway.audit.receipt import verify_receipt
from gateway.base.canonical import canonical_json
from tests.conftest import Database
from tests.fakes import gateway as kit
from tests.fakes.entries import DAY
from tests.fakes.gateway import Gateway, PartnerClient, running_gateway
from tests.fakes.proxy import AtCommit, Proxy, proxied
from tests.faults.checkers import check_log

pytestmark = pytest.mark.slow

REQUEST_S = 1.5
"""The gateway's deadline for one request in these tests."""
MARGIN_S = 10.0
"""On a busy machine; the point is that nobody waits for ever."""


@dataclass
class Scene:
    """A gateway behind a proxy, a partner, and a session of an administrator."""

    gateway: Gateway
    proxy: Proxy
    partner: PartnerClient
    admin: asyncpg.Connection

    async def ask(self, **headers: str) -> tuple[int, dict[str, str], dict[str, Any]]:
        async with asyncio.timeout(REQUEST_S + MARGIN_S):
            return await self.partner.verify(kit.SERIOUS, headers=headers)

    async def answered(self, **headers: str) -> tuple[dict[str, str], dict[str, Any]]:
        """Ask and be answered, with a receipt that verifies."""
        status, answer_headers, answer = await self.ask(**headers)
        assert (status, answer.get("outcome")) == (200, "restricted"), answer
        verify_receipt(canonical_json(answer), self.gateway.policy)
        return answer_headers, answer

    async def refused(self, **headers: str) -> None:
        """Ask and be told to come back."""
        status, answer_headers, answer = await self.ask(**headers)
        assert status == 503, answer
        assert int(answer_headers["Retry-After"]) >= 1
        assert "outcome" not in answer

    async def queries(self) -> list[str]:
        """Return the verification ids on record."""
        rows = await self.admin.fetch(
            "SELECT verification_id FROM audit.entry WHERE kind = 'query' ORDER BY leaf_index"
        )
        return [row["verification_id"] for row in rows]


@pytest.fixture
async def scene(database: Database, tmp_path: Path) -> AsyncIterator[Scene]:
    """A gateway that waits a short time; everything it says to the database goes through the proxy."""
    admin = await database.connect()
    async with proxied(database) as proxy:
        changes = {"database_dsn": proxy.dsn(database), "request_timeout_ms": str(int(REQUEST_S * 1000))}
        async with running_gateway(database, tmp_path, **changes) as gateway:
            yield Scene(gateway, proxy, await gateway.partner(), admin)
    await admin.close()
    await check_log(database, tmp_path)


@pytest.mark.parametrize("fate", [AtCommit.CUT_BEFORE, AtCommit.CUT_AFTER])
async def test_a_lost_commit_is_found_out_before_the_partner_is_answered(scene: Scene, fate: AtCommit) -> None:
    scene.proxy.commits = [fate]

    _headers, answer = await scene.answered()

    assert scene.proxy.faults == 1
    assert await scene.queries() == [answer["id"]]


@pytest.mark.parametrize("fate", [AtCommit.CUT_BEFORE, AtCommit.CUT_AFTER])
async def test_an_outcome_that_stays_unknown_is_no_answer_and_the_same_key_finds_the_verdict(
    scene: Scene, fate: AtCommit
) -> None:
    """The database goes away with the COMMIT: 503. Back again, a retry under the same key gets the one verdict there is."""
    scene.proxy.commits, scene.proxy.refuse_after_fault = [fate], True
    await scene.refused(Idempotency_Key="once")

    scene.proxy.refusing, scene.proxy.refuse_after_fault = False, False
    scene.proxy.cut()  # what the pool kept is from before
    headers, answer = await scene.answered(Idempotency_Key="once")

    assert await scene.queries() == [answer["id"]]
    assert ("Idempotent-Replayed" in headers) is (fate is AtCommit.CUT_AFTER)


async def test_a_line_that_goes_dead_after_commit_answers_nobody_and_recovers_with_the_line(scene: Scene) -> None:
    """No reply and no end of the connection (F14): the partner is refused in time; the commit itself is never cut short."""
    scene.proxy.commits = [AtCommit.MUTE]
    await scene.refused(Idempotency_Key="once")
    assert len(await scene.queries()) == 1

    scene.proxy.thaw()
    headers, answer = await scene.answered(Idempotency_Key="once")

    assert await scene.queries() == [answer["id"]]
    assert headers["Idempotent-Replayed"] == "true"


async def test_a_head_that_an_administrator_holds_means_503_in_time_and_work_goes_on_afterwards(scene: Scene) -> None:
    transaction = scene.admin.transaction()
    await transaction.start()
    await scene.admin.execute("SELECT FROM audit.head FOR UPDATE")
    await asyncio.gather(*(scene.refused() for _ in range(3)))
    await transaction.rollback()

    _headers, answer = await scene.answered()

    # The wait for the lock that was under way when the callers gave up may still have got it: a leaf too many is allowed.
    assert (await scene.queries())[-1] == answer["id"]


async def test_a_missing_partition_is_503_and_never_500(scene: Scene) -> None:
    """The partition of the day is not there: refused until it is, and nothing is lost."""
    days = (DAY, DAY + dt.timedelta(days=1))
    for day in days:
        await scene.admin.execute(f"ALTER TABLE audit.request DETACH PARTITION audit.request_{day:%Y%m%d}")
    await scene.refused()
    for day in days:
        bounds = f"FROM ('{day}') TO ('{day + dt.timedelta(days=1)}')"
        await scene.admin.execute(
            f"ALTER TABLE audit.request ATTACH PARTITION audit.request_{day:%Y%m%d} FOR VALUES {bounds}"
        )

    _headers, answer = await scene.answered()

    assert (await scene.queries())[-1] == answer["id"]
