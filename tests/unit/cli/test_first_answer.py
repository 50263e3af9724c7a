"""The way the README shows: from an empty PostgreSQL to the first answer with ``serve``, without the demo."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.postgres.embedded import EmbeddedPostgres

pytestmark = pytest.mark.slow

DEADLINE_S = 120.0
ROLES = ("gateway_owner", "gateway_api", "gateway_feed", "gateway_admin", "gateway_audit")


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in held]
    for sock in held:
        sock.close()
    return ports


async def run(*arguments: str, environment: dict[str, str], expect: int = 0) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *arguments,
        env={"PATH": os.environ["PATH"], "LANG": "en_GB.UTF-8", **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate()
    assert process.returncode == expect, (out + err).decode()
    return out.decode()


@asynccontextmanager
async def running(module: list[str], environment: dict[str, str]):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *module, env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE_S):
            await process.communicate()


async def test_from_an_empty_database_to_the_first_answer(  # noqa: PLR0915 - one path, step by step as the README has it
    postgres: EmbeddedPostgres, tmp_path: Path
):
    await postgres.create_database("first_answer")
    api, admin = free_ports(2)
    ready = tmp_path / "platform.json"
    simulator = ["gateway.sandbox.platform", "--environment", "demo", "--directory", str(tmp_path / "municipal"),
                 "--ready-file", str(ready), "--size", "10"]  # fmt: skip
    async with running(simulator, {}):
        async with asyncio.timeout(DEADLINE_S):
            while not ready.exists():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.05)
        platform = json.loads(ready.read_bytes())
        (tmp_path / "platform-keys.txt").write_text(platform["keys"], encoding="utf-8")
        config = tmp_path / "gateway.toml"
        config.write_text(
            "\n".join(
                f'{name} = "{value}"'
                for name, value in {
                    "environment": "demo",
                    "issuer": f"http://127.0.0.1:{api}",
                    "bind": f"127.0.0.1:{api}",
                    "admin_bind": f"127.0.0.1:{admin}",
                    "keys_dir": tmp_path / "keys",
                    "log_origin": "audit.example.cn/log1",
                    "feed_url": platform["url"],
                    "feed_name": platform["feed"],
                    "feed_keys_file": tmp_path / "platform-keys.txt",
                }.items()
            ),
            encoding="utf-8",
        )
        settings = {"GATEWAY_CONFIG": str(config)}
        await run("keys", "init", str(tmp_path / "keys"), environment={})
        await run("migrate", "--roles", environment=settings | {"GATEWAY_DATABASE_DSN": postgres.dsn("first_answer")})
        await postgres.let_in(*ROLES)
        settings |= {
            "GATEWAY_DATABASE_DSN": postgres.dsn("first_answer", "gateway_api"),
            "GATEWAY_FEED_DATABASE_DSN": postgres.dsn("first_answer", "gateway_feed"),
            "GATEWAY_OPERATOR_DATABASE_DSN": postgres.dsn("first_answer", "gateway_admin"),
        }
        await run("config", "check", "--database", environment=settings)
        async with running(["gateway", "serve", "--workers", "1"], settings) as gateway:
            await until_ready(settings, gateway)
            await run("key", "generate", str(tmp_path / "partner.pem"), "--kid", "first", environment={})
            await run("partner", "add", "huoyun-platform", "--name", "某平台", "--sector", "network_freight",
                      "--purpose", "onboarding", environment=settings)  # fmt: skip
            await run(
                "key", "add", "huoyun-platform", "--jwk", str(tmp_path / "partner.pub.json"), environment=settings
            )
            policy = await run("log-policy", environment=settings)
            (tmp_path / "log-policy.txt").write_text(policy, encoding="utf-8")
            origin = f"http://127.0.0.1:{api}"
            profile = tmp_path / "profile.json"
            profile.write_text(
                json.dumps(
                    {
                        "api": origin,
                        "issuer": origin,
                        "token_endpoint": f"{origin}/oauth2/token",
                        "client_id": "huoyun-platform",
                        "kid": "first",
                        "private_key_file": "partner.pem",
                        "log_policy_file": "log-policy.txt",
                    }
                ),
                encoding="utf-8",
            )

            said = await run("verify", "91990000000000035P", "--purpose", "onboarding", "--business-ref", "C-1",
                             "--profile", str(profile), "--json", environment={})  # fmt: skip

            assert json.loads(said)["outcome"] == "restricted"
        assert gateway.returncode == 0
    await postgres.drop_database("first_answer")


async def until_ready(settings: dict[str, str], gateway: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            assert gateway.returncode is None
            try:
                await run("status", environment=settings)
            except AssertionError:
                continue
            return


async def test_serve_does_not_start_with_example_keys_outside_the_demo(tmp_path: Path):
    examples = Path(__file__).parents[3] / "keys" / "example"
    settings = {
        "GATEWAY_ISSUER": "https://gateway.example.cn",
        "GATEWAY_DATABASE_DSN": "postgresql://nobody@127.0.0.1:1/none",
        "GATEWAY_KEYS_DIR": str(examples),
        "GATEWAY_LOG_ORIGIN": "audit.example.cn/log1",
        "GATEWAY_FEED_URL": "https://platform.example.cn",
        "GATEWAY_FEED_KEYS_FILE": str(tmp_path / "none"),
    }

    await run("serve", environment=settings, expect=78)


async def test_serve_does_not_start_on_a_database_without_the_schema(postgres: EmbeddedPostgres, tmp_path: Path):
    await postgres.create_database("bare")
    await run("keys", "init", str(tmp_path / "keys"), environment={})
    (tmp_path / "feed-keys.txt").write_text("none AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    settings = {
        "GATEWAY_ENVIRONMENT": "demo",
        "GATEWAY_ISSUER": "http://127.0.0.1:1",
        "GATEWAY_DATABASE_DSN": postgres.dsn("bare"),
        "GATEWAY_KEYS_DIR": str(tmp_path / "keys"),
        "GATEWAY_LOG_ORIGIN": "audit.example.cn/log1",
        "GATEWAY_FEED_URL": "http://127.0.0.1:1",
        "GATEWAY_FEED_KEYS_FILE": str(tmp_path / "feed-keys.txt"),
    }

    await run("serve", environment=settings, expect=78)

    await postgres.drop_database("bare")
