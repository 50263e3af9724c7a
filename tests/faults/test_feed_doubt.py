"""A restricted merchant whose record the database's owner deletes: over real processes, from the lie to the answer and back."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.base.canonical import parse_json_object
from tests.conftest import Database
from tests.fakes import gateway as kit
from tests.fakes.processes import Served, serve, variables_of
from tests.faults.checkers import check_log

pytestmark = pytest.mark.slow

SOON_S = 60.0


async def command(served: Served, *words: str) -> tuple[int, str, str]:
    """Run a command of ours beside the gateway; return exit code, output and errors."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "gateway", *words],
        capture_output=True, text=True, check=False, timeout=SOON_S, cwd=Path(__file__).parents[2],
        env=inherited | variables_of(served.settings) | {"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def document(out: str) -> dict[str, Any]:
    """Return the JSON document of a command, after what it may have logged."""
    return parse_json_object(out[out.index("{\n") :].encode())


async def until_answered(partner: kit.PartnerClient, outcome: str) -> dict[str, Any]:
    async with asyncio.timeout(SOON_S):
        while True:
            status, _headers, answer = await partner.verify(kit.SERIOUS)
            assert status == 200, answer
            if answer["outcome"] == outcome:
                return answer


async def test_a_record_that_the_owner_deletes_ends_in_no_answer_until_it_is_there_again(
    database: Database, tmp_path: Path
) -> None:
    """1 the lie would be `clear`; 2 the first round of a feed process sees it; 3 it is named; 4 the signed files mend it."""
    owner = await database.connect()
    async with serve(database, tmp_path, workers=2) as served:
        partner = await served.partner()
        await until_answered(partner, "restricted")
        code, out, _err = await command(served, "feed", "verify", "--json")
        assert (code, document(out)["result"]) == (0, "clean")

        gone = await owner.fetch("DELETE FROM replica.record WHERE subject_key = $1 RETURNING record_id", kit.SERIOUS)
        assert len(gone) > 0
        await until_answered(partner, "clear")  # 1
        await served.kill(served.feed())
        answer = await until_answered(partner, "unavailable")  # 2

        assert [reason["code"] for reason in answer["reasons"]] == ["source_doubted"]
        await until_all_say_so(served)
        assert 'gateway_feed_replica_differences_total{kind="missing"}' in (await served.admin("/metrics"))[1]
        await check_named(served, {row["record_id"] for row in gone})  # 3

        code, out, err = await command(served, "feed", "pull", "--reload", "--json")  # 4
        assert code == 0, out + err
        assert document(out)["proof"]["result"] == "clean"
        await until_answered(partner, "restricted")
        await served.until_ready()
        assert (await command(served, "feed", "verify"))[0] == 0
        lines = [line for line in served.log.read_text().splitlines() if "feed_replica_differs" in line]
    await owner.close()
    await check_log(database, tmp_path)

    assert len(lines) == 1, "said once"


async def until_all_say_so(served: Served) -> None:
    """Two workers and the feed process, each within a second."""
    async with asyncio.timeout(SOON_S):
        while True:
            status, ready = await served.admin("/readyz")
            assert status == 503, ready
            if ready.count("feed_doubted") == 3:
                return


async def check_named(served: Served, record_ids: set[str]) -> None:
    """`feed verify` names each record, for machines and for people."""
    code, out, _err = await command(served, "feed", "verify", "--json")
    found = document(out)
    assert (code, found["result"], found["counts"]) == (8, "differs", {"missing": len(record_ids)})
    named = {(one["kind"], one["part"], one["key"], one["subject"]) for one in found["named"]}
    assert named == {("missing", "record", record_id, kit.SERIOUS) for record_id in record_ids}
    for lang, words in (("zh", "数据库内容与市平台签发的数据不一致"), ("en", "The replica contradicts")):
        code, out, _err = await command(served, "feed", "verify", "--lang", lang)
        assert (code, words in out, all(record_id in out for record_id in record_ids)) == (8, True, True)
