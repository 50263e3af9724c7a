"""With ``--json`` a command writes one JSON document to stdout and nothing else, whatever happens and is logged meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.base.secret import Secret
from gateway.base.settings import OPTIONS, Settings
from gateway.cli.main import main
from gateway.credit.feed_version import VersionKind
from gateway.identity.signing_key import SigningKey
from gateway.terminal.terminal import Exit
from tests.conftest import Database
from tests.fakes.gateway import Gateway, running_gateway
from tests.fakes.hostile import ALL, answer, seen, server


@pytest.fixture
async def gateway(database: Database, tmp_path) -> AsyncIterator[Gateway]:
    async with running_gateway(database, tmp_path, fed=False) as running:
        yield running


@dataclass(frozen=True)
class Said:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one document; anything before or behind it is an error."""
        return json.loads(self.out)

    @property
    def events(self) -> list[str]:
        """What was logged, on stderr, a line of JSON each."""
        return [json.loads(line)["event"] for line in self.err.splitlines()]


@pytest.fixture
def command(gateway: Gateway, monkeypatch, capsys) -> Callable[..., Any]:
    """Run a command as an operator of the gateway does, with its settings in the environment."""
    for name, text in environment_of(gateway.settings).items():
        monkeypatch.setenv(name, text)

    async def run(*arguments: str, json: bool = True) -> Said:
        capsys.readouterr()
        code = await asyncio.to_thread(main, [*arguments, *(["--json"] if json else [])])
        shown = capsys.readouterr()
        return Said(code, shown.out, shown.err)

    return run


def environment_of(settings: Settings) -> dict[str, str]:
    values = {option.variable: getattr(settings, option.name) for option in OPTIONS if option.name in settings.sources}
    return {
        name: value.reveal().decode() if isinstance(value, Secret) else str(value) for name, value in values.items()
    }


async def test_feed_pull_prints_json_alone_while_the_feed_process_logs(gateway, command, monkeypatch):
    """Applied, nothing new, refused, unreachable: what is logged about the last two goes to stderr."""
    applied = await command("feed", "pull")
    current = await command("feed", "pull")
    await asyncio.to_thread(gateway.publisher.publish, VersionKind.SNAPSHOT, [])
    refused = await command("feed", "pull")
    monkeypatch.setenv("GATEWAY_FEED_URL", "http://127.0.0.1:9")
    unreachable = await command("feed", "pull")

    said = [applied, current, refused, unreachable]
    assert [one.document["result"] for one in said] == ["current", "current", "refused", "unreachable"]
    assert [one.code for one in said] == [Exit.OK, Exit.OK, Exit.INTEGRITY, Exit.UNHEALTHY]
    assert [one.events for one in said] == [["feed_lines_quarantined"], [], ["feed_refused"], ["feed_unreachable"]]


async def test_no_text_of_an_admin_port_reaches_the_terminal(command, monkeypatch):
    """Whoever listens there: the reason is shown, without its harm."""
    for wanted in (False, True):
        async with server(answer(503, f"甲{ALL}乙".encode(), kind=b"text/plain")) as base:
            monkeypatch.setenv("GATEWAY_ADMIN_BIND", base.removeprefix("http://"))
            said = await command("status", json=wanted)

        assert said.code == Exit.UNHEALTHY
        assert seen(said.out + said.err) == set()
        assert "甲" in said.out


async def test_every_command_prints_json_alone(command, database, monkeypatch, tmp_path):
    """Those of an operator, in the order of a first day."""
    jwk = tmp_path / "key.json"
    jwk.write_text(json.dumps(dict(SigningKey.generate().public.jwk)), encoding="utf-8")
    name = "甲\u202e乙\u200b"
    add = ("partner", "add", "partner-one", "--name", name, "--sector", "recycling", "--purpose", "risk")

    monkeypatch.setenv("GATEWAY_DATABASE_DSN", database.dsn)  # of the superuser, as ``migrate`` is run
    migrated = await command("migrate")
    planned = await command("migrate", "--plan")
    monkeypatch.setenv("GATEWAY_DATABASE_DSN", database.dsn_of("gateway_api"))
    said = [
        await command(*arguments)
        for arguments in (
            ("version",),
            ("config", "check", "--database"),
            ("config", "show"),
            ("config", "schema"),
            ("log-policy",),
            ("feed", "pull"),
            ("feed", "status"),
            add,
            ("partner", "list"),
            ("key", "add", "partner-one", "--jwk", str(jwk)),
            ("key", "list", "partner-one"),
            ("audit", "list"),
            ("audit", "get", "0"),
            ("audit", "fsck"),
        )
    ]

    said = [migrated, planned, *said]
    assert [one.code for one in said] == [Exit.OK] * len(said)
    assert [one.events for one in said if one.err] == [["feed_lines_quarantined"]]
    assert all(one.document for one in said)
    assert all(one.out.replace("\n", "").isprintable() for one in said)
    assert said[10].document[0]["name"] == name  # escapes, and the same text
