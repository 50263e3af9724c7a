"""An operator at a terminal: commands typed in this process, with the settings of a running gateway."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.policy import render_policy
from gateway.base.settings import Settings
from gateway.cli.main import main
from gateway.terminal.terminal import Exit
from tests.fakes.gateway import Gateway


@dataclass
class Typist:
    """An operator at a terminal of the gateway's host."""

    gateway: Gateway
    folder: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def policy(self) -> Path:
        """The policy that trusts this host."""
        file = self.folder / "policy.txt"
        file.write_text(render_policy([str(key) for key in self.gateway.policy.logs]))
        return file

    async def log(self, *words: object, settings: Settings | None = None, as_owner: bool = False) -> tuple[int, str]:
        """Type ``credit-gateway log …``; return the exit code and all that was said."""
        return await self.type("log", *words, settings=settings, as_owner=as_owner)

    async def act(self, *words: object, as_owner: bool = False) -> tuple[int, str]:
        """Type one that says who acts and why."""
        return await self.log(*words, "--by", "test", "--reason", "tried", as_owner=as_owner)

    async def opened(self, settings: Settings) -> dict[str, Any]:
        """Return what the first leaf of a log commits to, opened."""
        code, said = await self.type("audit", "get", "0", "--json", settings=settings)
        assert code == Exit.OK
        return json.loads(said)["opened"]

    async def type(self, *words: object, settings: Settings | None = None, as_owner: bool = False) -> tuple[int, str]:
        """Type any command of the program."""
        file = self.folder / "operator.toml"
        file.write_text(self._toml(settings or self.gateway.settings, as_owner=as_owner))
        typed = [*map(str, words), "--config", str(file), "--lang", "en"]
        self.capsys.readouterr()  # what the gateway in this process has said so far
        code = await asyncio.to_thread(main, typed)
        caught = self.capsys.readouterr()
        return code, caught.out + caught.err

    def _toml(self, settings: Settings, *, as_owner: bool) -> str:
        names = (
            "issuer",
            "keys_dir",
            "guard_dir",
            "log_id",
            "log_origin",
            "host_name",
            "feed_url",
            "feed_name",
            "feed_keys_file",
        )
        values: dict[str, object] = {name: getattr(settings, name) for name in names}
        api = self.gateway.database.dsn if as_owner else settings.database_dsn.reveal().decode()
        values |= {
            "environment": "demo",
            "database_dsn": api,
            "operator_database_dsn": settings.operator_database_dsn.reveal().decode(),
        }
        return "".join(
            f"{name} = {json.dumps(value if isinstance(value, int) else str(value))}\n"
            for name, value in values.items()
        )
