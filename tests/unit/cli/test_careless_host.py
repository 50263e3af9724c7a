"""A careless host in production is told everything at once, by ``config check`` and by ``serve``, and the demo is left alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.base.dsn import parse_dsn
from gateway.base.host_keys import create_host_keys

PATIENCE_S = 60.0
DEPLOY = Path(__file__).parents[3] / "deploy"
KEY_LINE = "first Am5xjbvNAWSEq6Gv+xQSNWrPlQUIISf3nXnhvKTYkvI=\n"


def run(variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True, text=True, check=False, timeout=PATIENCE_S,
    )  # fmt: skip


@pytest.fixture
def host(host_folder: Path) -> dict[str, str]:
    """The variables of a host that is as production wants it, its files in ``host_folder``."""
    create_host_keys(host_folder / "keys")
    files = {
        "platform-keys.txt": KEY_LINE,
        "gateway.toml": 'log_origin = "audit.example.cn/log1"\n',
        "database.dsn": "postgresql://gateway_api:pw@/gateway?host=/run/postgresql\n",
    }
    for name, text in files.items():
        (host_folder / name).write_text(text, encoding="utf-8")
        (host_folder / name).chmod(0o600)
    return {
        "GATEWAY_CONFIG": str(host_folder / "gateway.toml"),
        "GATEWAY_ISSUER": "https://gateway.example.cn",
        "GATEWAY_DATABASE_DSN_FILE": str(host_folder / "database.dsn"),
        "GATEWAY_KEYS_DIR": str(host_folder / "keys"),
        "GATEWAY_FEED_URL": "https://platform.example.cn",
        "GATEWAY_FEED_KEYS_FILE": str(host_folder / "platform-keys.txt"),
    }


def make_careless(folder: Path, host: dict[str, str]) -> dict[str, str]:
    """Do everything wrong at once; a link in a safe place leads to keys in a folder for everybody."""
    for name in ("gateway.toml", "platform-keys.txt", "database.dsn"):
        (folder / name).chmod(0o666)
    keys = folder / "keys"
    shutil.copy(keys / "dpop-nonce.key", keys / "sealing.key")
    keys.chmod(0o1777)
    (folder / "link").symlink_to("keys")
    return host | {
        "GATEWAY_KEYS_DIR": str(folder / "link"),
        "GATEWAY_FEED_DATABASE_DSN": "postgresql://feed@db.example.cn/gateway",
        "GATEWAY_BIND": "0.0.0.0:8080",
        "GATEWAY_ADMIN_BIND": "0.0.0.0:9090",
    }


def test_a_careful_host_is_fine(host: dict[str, str]):
    done = run(host, "config", "check", "--lang", "en")

    assert done.returncode == 0, done.stderr


EXPECTED = [
    ("GATEWAY_CONFIG", "gateway.toml"),
    ("GATEWAY_DATABASE_DSN_FILE", "chmod go-w"),
    ("GATEWAY_DATABASE_DSN_FILE", "chmod 0400"),
    ("GATEWAY_FEED_DATABASE_DSN", "sslmode=verify-full"),
    ("GATEWAY_BIND", "GATEWAY_BEHIND_PROXY"),
    ("GATEWAY_ADMIN_BIND", "GATEWAY_ADMIN_NETWORK_PRIVATE"),
    ("GATEWAY_KEYS_DIR", "1777"),
    ("GATEWAY_KEYS_DIR", "dpop-nonce.key"),
    ("GATEWAY_FEED_KEYS_FILE", "platform-keys.txt"),
]


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("command", [("config", "check"), ("serve",)], ids=" ".join)
def test_everything_is_said_at_once_one_line_each(
    host_folder: Path, host: dict[str, str], command: tuple[str, ...], lang: str
):
    done = run(make_careless(host_folder, host), *command, "--lang", lang)

    assert done.returncode == 78
    heading, *lines = done.stderr.splitlines()
    assert str(len(EXPECTED)) in heading
    told = [(line.split()[0], line) for line in lines]
    assert [name for name, _ in told] == [name for name, _ in EXPECTED]
    assert [word for (_, word), (_, line) in zip(EXPECTED, told, strict=True) if word not in line] == []


def test_the_demo_is_not_bothered(host_folder: Path, host: dict[str, str]):
    careless = make_careless(host_folder, host) | {"GATEWAY_ENVIRONMENT": "demo"}

    assert run(careless, "config", "check").returncode == 0


def test_a_guard_that_others_could_change_is_found(host_folder: Path, host: dict[str, str]):
    guard = host_folder / "guard"
    guard.mkdir()
    (guard / "log-1.guard").write_text("x", encoding="utf-8")
    (guard / "log-1.guard").chmod(0o666)
    elsewhere = host | {"GATEWAY_GUARD_DIR": str(guard)}

    done = run(elsewhere, "config", "check", "--lang", "en")

    assert done.returncode == 78
    assert "log-1.guard" in done.stderr
    assert run(elsewhere | {"GATEWAY_ENVIRONMENT": "demo"}, "config", "check").returncode == 0


def test_faults_of_settings_keys_and_platform_keys_stand_in_one_list(host_folder: Path, host: dict[str, str]):
    (host_folder / "keys" / "sealing.key").unlink()
    (host_folder / "platform-keys.txt").write_text("no key\n", encoding="utf-8")

    done = run(host | {"GATEWAY_WORKERS": "0"}, "config", "check", "--lang", "en")

    assert done.returncode == 78
    names = [line.split()[0] for line in done.stderr.splitlines()[1:]]
    assert names == ["GATEWAY_WORKERS", "GATEWAY_KEYS_DIR", "GATEWAY_FEED_KEYS_FILE"]


def test_what_is_ready_made_is_fit_for_production():
    secrets, compose, image = (
        (DEPLOY / name).read_text(encoding="utf-8") for name in ("compose-secrets.sh", "compose.yaml", "Containerfile")
    )
    uris = re.findall(r'"(postgresql://[^ ]+)"', re.sub(r"\$\(cat [^)]+\)|\$\{role\}", "x", secrets))

    assert len(uris) == 2
    assert [parse_dsn(uri, {}).beyond for uri in uris] == [(), ()]
    assert "GATEWAY_BIND=0.0.0.0:8080 GATEWAY_ADMIN_BIND=127.0.0.1:9090" in image
    assert 'GATEWAY_BEHIND_PROXY: "true"' in compose
