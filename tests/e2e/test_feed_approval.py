"""A version that deletes much is refused until an operator approves exactly that version, on record."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.credit.feed_version import VersionKind
from gateway.sandbox.lines import ENTERPRISE, Firm, make_uscc, registration
from gateway.worker.feed import TickResult
from tests.conftest import Database
from tests.fakes import gateway as kit
from tests.fakes.gateway import TODAY, Gateway, running_gateway


@pytest.fixture
async def gateway(database: Database, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running_gateway(database, tmp_path) as running:
        yield running


async def test_mass_deletion_waits_for_the_approval_of_its_version(gateway):
    partner = await gateway.partner()
    newcomer = Firm(uscc=make_uscc(ENTERPRISE, "0000001A"), name="测试商户有限公司")
    lines = [registration(newcomer, established=TODAY - dt.timedelta(days=900))]
    await asyncio.to_thread(gateway.publisher.publish, VersionKind.SNAPSHOT, lines)

    refused = await gateway.pull_feed()
    other = await gateway.pull_feed(approve=refused.version + 1)
    still = (await partner.verify(kit.CLEAR))[2]["outcome"]
    approved = await gateway.pull_feed(approve=refused.version)
    after = (await partner.verify(kit.CLEAR))[2]["outcome"]

    assert [(pull.result, pull.reason) for pull in (refused, other)] == [(TickResult.REFUSED, "mass_deletion")] * 2
    assert approved.applied == (refused.version,)
    assert (still, after) == ("clear", "unknown_subject")
    approvals = await gateway.leaves(op="feed.approve")
    assert [(leaf["t"], leaf["decision"]) for leaf in approvals] == [("feed", "allow")] * 2
