"""Reading the replica: many look-ups as one, one version at a time, and no silence about what cannot be read."""

import asyncio

import asyncpg
import pytest

from gateway.base.errors import ErrorKind, GatewayError
from gateway.credit.identifiers import Uscc, name_key
from gateway.postgres.queries import Queries
from gateway.postgres.replica_store import MAX_KEYS, PostgresReplica
from gateway.sandbox import states
from gateway.sandbox.lines import Firm, make_reg_no, registration
from tests.fakes.feed_stage import feed_stage
from tests.fakes.municipal import FEED, TODAY, make_entry, make_firm, make_town


@pytest.fixture
async def stage(database, tmp_path):
    async with feed_stage(database.dsn_of("gateway_feed"), tmp_path) as made:
        made.snapshot(make_town(20, listed=2))
        await made.tick()
        yield made


@pytest.fixture
async def reader(database, stage):  # noqa: ARG001 - the stage has filled the replica
    """A worker's replica, with a worker's rights."""
    pool = await asyncpg.create_pool(database.dsn_of("gateway_api"), min_size=0, max_size=3)
    replica = PostgresReplica(pool, Queries.load("replica"), feed=FEED)
    yield replica
    await replica.close()
    await pool.close()


async def test_a_known_firm_comes_with_its_registration_its_records_and_their_source(reader):
    facts = await reader.look_up(Uscc(make_firm(1).uscc))

    assert facts.registration.name == make_firm(1).name
    assert [record.record_id for record in facts.records] == [make_entry(1)["id"]]
    assert (facts.source.feed, facts.source.version, facts.quarantined) == (FEED, 1, 0)
    assert facts.source == await reader.source_state()


async def test_an_unknown_code_gives_empty_facts_with_their_source(reader):
    facts = await reader.look_up(Uscc(make_firm(999).uscc))

    assert (facts.registration, facts.records, facts.quarantined, facts.source.version) == (None, (), 0, 1)


async def test_look_ups_that_arrive_together_are_one_query(reader):
    """Each query makes one source value, so one object means one query."""
    answers = await asyncio.gather(*[reader.look_up(Uscc(make_firm(number).uscc)) for number in range(1, 21)])

    assert [answer.registration.uscc for answer in answers] == [make_firm(number).uscc for number in range(1, 21)]
    assert len({id(answer.source) for answer in answers}) == 1


async def test_more_codes_than_fit_in_one_query_go_in_several(reader):
    codes = [Uscc(make_firm(number).uscc) for number in range(1, 2 * MAX_KEYS + 2)]

    answers = await asyncio.gather(*map(reader.look_up, codes))

    assert len({id(answer.source) for answer in answers}) == 3
    assert sum(answer.registration is not None for answer in answers) == 20


async def test_the_same_code_twice_at_once_is_answered_twice(reader):
    one, other = await asyncio.gather(reader.look_up(Uscc(make_firm(1).uscc)), reader.look_up(Uscc(make_firm(1).uscc)))

    assert one == other


async def test_a_request_that_gives_up_harms_no_other(reader):
    given_up = asyncio.create_task(reader.look_up(Uscc(make_firm(1).uscc)))
    waiting = asyncio.create_task(reader.look_up(Uscc(make_firm(1).uscc)))
    await asyncio.sleep(0)
    given_up.cancel()

    assert (await waiting).registration is not None
    assert given_up.cancelled()


async def test_records_under_the_old_number_of_a_firm_are_its_own(stage, reader):
    firm = Firm(uscc=make_firm(50).uscc, name="旧号企业有限公司", reg_no=make_reg_no(50))
    stage.delta(registration(firm, established=TODAY), states.old_spelling(firm, TODAY), make_entry(50))
    unread = {**states.old_spelling(firm, TODAY), "id": "unread", "CF_JDRQ": "2026-02-30"}
    stage.delta(unread)
    await stage.tick()

    facts = await reader.look_up(Uscc(firm.uscc))

    assert sorted(record.record_id for record in facts.records) == [f"CF.{firm.reg_no}", make_entry(50)["id"]]
    assert facts.quarantined == 1


async def test_a_stored_row_that_cannot_be_decoded_counts_as_unread(database, reader):
    owner = await database.connect()
    await owner.execute("UPDATE replica.record SET body = 'x' WHERE record_id = $1", make_entry(1)["id"])
    await owner.execute("UPDATE replica.subject SET body = '{}' WHERE uscc = $1", make_firm(3).uscc)
    await owner.close()

    record, subject = await asyncio.gather(*[reader.look_up(Uscc(make_firm(number).uscc)) for number in (1, 3)])

    assert (record.records, record.quarantined) == ((), 1)
    assert (subject.registration, subject.quarantined) == (None, 1)


async def test_a_connection_that_died_is_replaced_unseen(database, reader):
    await reader.look_up(Uscc(make_firm(1).uscc))
    owner = await database.connect()
    await owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gateway_api'")
    await owner.close()

    assert (await reader.look_up(Uscc(make_firm(1).uscc))).registration is not None


async def test_a_store_that_is_away_is_said_to_every_waiter(reader):
    await reader._pool.close()

    failures = await asyncio.gather(*[reader.look_up(Uscc(make_firm(n).uscc)) for n in (1, 2)], return_exceptions=True)

    assert [type(failure) for failure in failures] == [GatewayError, GatewayError]
    assert {failure.kind for failure in failures} == {ErrorKind.STORE_UNAVAILABLE}


async def test_candidates_begin_with_the_exact_name_and_then_go_on_by_prefix(stage, reader):
    names = ("天一物流", "天一物流（天津）有限公司", "天一物流科技", "天二物流", "天一%", "天一_物流")
    firms = [Firm(uscc=make_firm(100 + number).uscc, name=name) for number, name in enumerate(names)]
    stage.delta(*[registration(firm, established=TODAY) for firm in firms])
    await stage.tick()

    async def names_of(key, limit=10):
        return [row.name for row in (await reader.candidates(name_key(key), limit)).rows]

    assert (await names_of("天一物流"))[0] == "天一物流"
    assert set(await names_of("天一物流")) == set(names[:3])
    assert await names_of("天一物流", 1) == ["天一物流"]
    assert await names_of("天一%") == ["天一%"], "no wildcard"
    assert await names_of("天一_") == ["天一_物流"], "no wildcard"
    assert await names_of("无此企业") == []


async def test_candidates_say_their_source_and_none_for_an_empty_key(reader):
    nothing = await reader.candidates("", 10)

    assert (nothing.rows, nothing.source.version) == ((), 1)
    assert (await reader.candidates("无此", 10)).source == nothing.source


async def test_a_bracket_in_either_width_finds_the_same_firm(stage, reader):
    firm = Firm(uscc=make_firm(60).uscc, name="天一（天津）有限公司")
    stage.delta(registration(firm, established=TODAY))
    await stage.tick()

    found = await reader.candidates(name_key("天一(天津) 有限公司"), 5)

    assert [row.uscc for row in found.rows] == [firm.uscc]


async def test_each_version_is_planned_for_anew_so_that_no_scan_is_left_from_an_empty_slot(stage, reader):
    """A plan made while the slot was empty would read every row of it later, at each look-up."""
    await reader.look_up(Uscc(make_firm(1).uscc))
    stage.snapshot(make_town(3000, listed=500))
    await stage.tick()
    await reader.look_up(Uscc(make_firm(1).uscc))
    session = reader._session
    name = session._statement.get_name()

    plan = await session._connection.fetch(f"""EXPLAIN EXECUTE "{name}" (ARRAY['x'], 'y')""")

    text = "\n".join(row[0] for row in plan)
    assert "Seq Scan" not in text
    assert "Filter: (subject_key" not in text
    assert (text.count("uscc = ANY"), text.count("subject_key = ANY")) == (2, 4), (
        "an index condition for each partition"
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE replica.feed_head SET version = 9",
        "DELETE FROM replica.record",
        "INSERT INTO replica.quarantine VALUES (0, 'x', 'x', 1, 1, 'x', '')",
        "TRUNCATE replica.subject_0",
    ],
)
async def test_a_worker_cannot_write_the_replica(database, statement):
    worker = await database.connect("gateway_api")

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await worker.execute(statement)
    await worker.close()


@pytest.mark.parametrize("statement", ["SELECT 1 FROM audit.entry", "SELECT 1 FROM identity.partner_key"])
async def test_the_feed_process_sees_neither_the_log_nor_the_partners(database, statement):
    feed = await database.connect("gateway_feed")

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await feed.execute(statement)
    await feed.close()
