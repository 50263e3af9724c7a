"""The simulated platform as its own process, its city through the feed, and the answers its merchants stand for."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from gateway.base.clock import SystemClock
from gateway.credit.answer import Asked, decide_answer
from gateway.credit.catalogue import load_catalogue
from gateway.credit.identifiers import Uscc
from gateway.guard.replica.files import GuardFiles
from gateway.guard.replica.keeper import KeptGuard
from gateway.municipal.client import FeedLimits, MunicipalFeed, open_feed_session
from gateway.municipal.envelope import parse_platform_keys
from gateway.postgres.queries import Queries
from gateway.postgres.replica_store import PostgresReplica
from gateway.postgres.replica_writer import PostgresReplicaWriter
from gateway.sandbox.merchants import NOT_IN_THE_CITY
from gateway.sandbox.platform import FEED as CITY_FEED
from gateway.sandbox.platform import main
from gateway.worker.feed import FeedLoop, Needs
from tests.fakes.feed_stage import CountedMetrics
from tests.fakes.municipal import make_entry, make_firm, make_registration

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
DAY_MS = 86_400_000


@pytest.fixture
async def platform(tmp_path):
    """The ready file of a running simulator with a small city."""
    ready = tmp_path / "ready.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.sandbox.platform", "--environment", "demo", "--size", "60"),
        *("--directory", str(tmp_path / "city"), "--ready-file", str(ready)),
        cwd=ROOT,
    )
    async with asyncio.timeout(30):
        while not ready.exists() and process.returncode is None:
            await asyncio.wait({asyncio.ensure_future(process.wait())}, timeout=0.02)
    yield json.loads(ready.read_text())
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


@pytest.fixture
async def city(platform, database, tmp_path):
    """Loop and replica on the running simulator, the city applied."""
    limits, queries = FeedLimits(), Queries.load("replica")
    async with (
        open_feed_session(limits) as session,
        asyncpg.create_pool(database.dsn_of("gateway_feed"), min_size=0) as pool,
    ):
        source = MunicipalFeed(
            session,
            base_url=platform["url"],
            feed=platform["feed"],
            keys=parse_platform_keys(platform["keys"]),
            directory=tmp_path,
            limits=limits,
        )
        writer = PostgresReplicaWriter(pool, queries, feed=CITY_FEED)
        replica = PostgresReplica(pool, queries, feed=CITY_FEED)
        guard = KeptGuard(GuardFiles.of(tmp_path / "guard", CITY_FEED))
        loop = FeedLoop(
            Needs(source=source, replica=writer, guard=guard, metrics=CountedMetrics(), clock=SystemClock())
        )
        await loop.tick()
        yield loop, replica
        await replica.close()


@pytest.fixture(scope="session")
def catalogue():
    files = (ROOT / "schemas" / "catalogue").glob("*.json")
    return load_catalogue({file.name: file.read_bytes() for file in files})


async def answer(replica, catalogue, code):
    facts = await replica.look_up(Uscc(code))
    return decide_answer(
        Asked(uscc=Uscc(code), name=None),
        facts,
        catalogue,
        verification_id="ver_test",
        at=SystemClock().now_ms(),
        max_stale_ms=DAY_MS,
    )


async def test_the_sandbox_merchants_answer_as_their_names_say(city, catalogue):
    """Through the feed like everything else; nothing in the answer path knows these codes."""
    _, replica = city
    outcomes = {
        "919900000000000192": ("clear", [], []),
        "91990000000000027W": ("restricted", ["SX-ABN"], ["in_force"]),
        "91990000000000035P": ("restricted", ["SX-SAMR"], ["in_force"]),
        "91990000000000174E": ("restricted", ["SX-JUD"], ["in_force"]),
        "91990000000000166K": ("restricted", ["SX-WAGE"], ["under_objection"]),
        "91990000000000115B": ("unknown_subject", [], []),
        "919900000000001311": ("partial", [], []),
        "91990000000000043J": ("clear", [], []),
        "92990000000000107D": ("clear", [], []),
    }

    answers = {code: await answer(replica, catalogue, code) for code in outcomes}

    assert {
        code: (given.outcome, [flag.list_code for flag in given.flags], [flag.state for flag in given.flags])
        for code, given in answers.items()
    } == outcomes
    assert answers["91990000000000043J"].subject.status == "revoked"


async def test_a_delta_published_by_hand_reaches_the_answers(city, platform, catalogue):
    loop, replica = city
    lines = [make_registration(77), make_entry(77), "not a line"]
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{platform['url']}/control/delta", json={"lines": lines}) as reply:
            published = await reply.json()
        outcome = await loop.tick()
        async with session.post(f"{platform['url']}/control/snapshot", json={"lines": []}) as reply:
            again = await reply.json()

    assert (published, outcome.applied) == ({"kind": "delta", "lines": 3, "version": 2}, (2,))
    assert (await answer(replica, catalogue, make_firm(77).uscc)).outcome == "restricted"
    assert (again["version"], (await loop.tick()).applied) == (3, (3,))
    assert (await answer(replica, catalogue, NOT_IN_THE_CITY)).outcome == "unknown_subject"


async def test_the_control_face_refuses_what_a_web_page_could_send(platform):
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{platform['url']}/control/delta", data="{}") as reply:
            as_form = reply.status
        async with session.post(f"{platform['url']}/control/delta", json=[]) as reply:
            as_list = reply.status
        async with session.post(f"{platform['url']}/control/delta", json={"lines": [1]}) as reply:
            as_number = reply.status

    assert (as_form, as_list, as_number) == (415, 400, 400)


@pytest.mark.parametrize("path", ["/files/..%2fplatform-signing.key", "/manifests/9.json", "/platform-signing.key"])
async def test_the_platform_serves_its_feed_and_nothing_else(platform, path):
    async with aiohttp.ClientSession() as session, session.get(f"{platform['url']}{path}") as reply:
        assert reply.status == 404


def test_the_simulated_platform_refuses_production(tmp_path, capsys):
    code = main(["--directory", str(tmp_path / "city"), "--environment", "production"])

    assert code == 78
    assert "production" in capsys.readouterr().err
    assert not (tmp_path / "city").exists()
