"""A worker says that it is ready only while it can commit, and finds out by itself that it can again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.wiring.worker import readiness
from tests.conftest import Database
from tests.fakes import gateway as kit
from tests.fakes.gateway import Gateway, running_gateway
from tests.fakes.owner import CHECKPOINT, Owner, owning, public

WAYS = {
    "rights taken away": (
        "REVOKE INSERT ON audit.entry FROM gateway_api",
        "GRANT INSERT ON audit.entry TO gateway_api",
    ),
    "a trigger that refuses every row": (
        (
            "CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'mine'; END $$; "
            "CREATE TRIGGER no BEFORE INSERT ON audit.batch FOR EACH ROW EXECUTE FUNCTION public.no()"
        ),
        "DROP TRIGGER no ON audit.batch; DROP FUNCTION public.no()",
    ),
    "a moment that no partition holds": (
        "UPDATE audit.head SET ts = '2999-01-01'",
        "UPDATE audit.head SET ts = (SELECT max(ts) FROM audit.batch)",
    ),
}


@pytest.fixture
async def gateway(database: Database, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running_gateway(database, tmp_path) as running:
        yield running


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Owner]:
    async with owning(database) as playing:
        yield playing


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
async def test_a_worker_that_reads_well_and_cannot_commit_is_not_ready(gateway: Gateway, owner: Owner, way: str):
    """Reads, the head and the checkpoint are fine; every answer would be a refusal."""
    broken, mended = WAYS[way]
    partner = await gateway.partner()
    assert (await partner.verify(kit.CLEAR))[0] == 200
    assert await readiness(gateway.worker) == ()
    await owner.run("SET session_replication_role = origin")
    await owner.run(broken)

    assert (await partner.verify(kit.CLEAR))[0] in {500, 503}

    assert (await public(gateway, CHECKPOINT))[0] == 200
    assert await readiness(gateway.worker) == ("commit_failing",)
    await gateway.worker.probe.tried()
    assert await readiness(gateway.worker) == ("commit_failing",)
    await owner.run(mended)
    await gateway.worker.probe.tried()
    while await readiness(gateway.worker):  # the try under way may have begun before it was mended
        await gateway.worker.probe.tried()
    assert len(await gateway.leaves(op="log.probe")) == 1
    assert (await partner.verify(kit.CLEAR))[0] == 200
