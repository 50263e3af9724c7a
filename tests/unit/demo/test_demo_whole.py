"""The demo as a person uses it: started, asked, disturbed and stopped, all through the front door."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

PATIENCE_S = 120.0


@dataclass(frozen=True)
class Demo:
    """A running demo: its process, what it wrote when ready, and where."""

    process: subprocess.Popen[bytes]
    ready: dict[str, Any]
    home: Path
    ready_file: Path

    def run(self, *arguments: str, profile: bool = False) -> subprocess.CompletedProcess[str]:
        options = ["--profile", str(self.home / "profile.json")] if profile else ["--config", self.ready["config_file"]]
        return command(*arguments, *options)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )


def start(home: Path, ready_file: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "gateway", "demo", "--data-dir", str(home), "--port", "0", "--size", "30", "--workers", "2",
         "--ready-file", str(ready_file), "--lang", "en"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def until(seen, what: str) -> Any:
    """Return the first true value; this waits for other processes, so it looks again and again until its patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if value := seen():
            return value
        time.sleep(0.05)
    pytest.fail(f"not seen in time: {what}")


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found |= {int(child)} | descendants(int(child))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def is_ready(demo: Demo) -> bool:
    try:
        with urllib.request.urlopen(f"{demo.ready['admin']}/readyz", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, TimeoutError, OSError):
        return False


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo with a small city."""
    home, ready_file = tmp_path_factory.mktemp("demo") / "home", tmp_path_factory.mktemp("run") / "ready.json"
    process = start(home, ready_file)
    try:
        until(lambda: ready_file.exists() or process.poll() is not None, "the ready file")
        if process.poll() is not None:
            assert process.stdout is not None
            pytest.fail(process.stdout.read().decode())
        yield Demo(process, json.loads(ready_file.read_bytes()), home, ready_file)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)


def test_the_ready_file_says_everything_a_partner_needs(demo: Demo):
    needed = {
        "api",
        "issuer",
        "token_endpoint",
        "client_id",
        "kid",
        "private_key_file",
        "log_policy_file",
        "municipal",
        "pid",
    }

    assert needed <= set(demo.ready)
    assert demo.ready["pid"] == demo.process.pid
    assert Path(demo.ready["private_key_file"]).stat().st_mode & 0o777 == 0o600
    assert Path(demo.ready["log_policy_file"]).read_text().startswith("log ")


def test_a_second_demo_on_the_same_directory_says_so(demo: Demo):
    second = command("demo", "--data-dir", str(demo.home), "--port", "0", "--lang", "en")

    assert second.returncode == 5
    assert f"(process {demo.process.pid})" in second.stderr


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("919900000000000192", "clear"),
        ("91990000000000027W", "restricted"),
        ("91990000000000035P", "restricted"),
        ("91990000000000174E", "restricted"),
        ("91990000000000166K", "restricted"),
        ("91990000000000115B", "unknown_subject"),
        ("919900000000001311", "partial"),
    ],
)
def test_the_sandbox_merchants_answer_as_their_names_say(demo: Demo, code: str, outcome: str):
    done = demo.run("verify", code, "--purpose", "onboarding", "--business-ref", "C-1", "--json", profile=True)

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["outcome"], answer["subject"]["uscc"]) == (outcome, code)


def test_the_card_shows_flag_basis_end_and_a_checked_receipt(demo: Demo):
    done = demo.run(
        "verify", "91990000000000035P", "--purpose", "onboarding", "--business-ref", "C-1", "--lang", "en", profile=True
    )

    assert done.returncode == 0, done.stderr
    for part in ("restricted", "flags", "basis", "until", "repair", "as of", "checked offline"):
        assert part in done.stdout


def test_a_code_that_cannot_be_is_a_usage_error_with_its_hint(demo: Demo):
    done = demo.run("verify", "9199", "--purpose", "onboarding", "--business-ref", "C-1", "--lang", "en", profile=True)

    assert done.returncode == 2
    assert "/subject/uscc" in done.stderr


def test_a_saved_answer_verifies_offline_and_a_changed_one_names_the_step(demo: Demo, tmp_path: Path):
    asked = demo.run(
        "verify", "91990000000000035P", "--purpose", "risk", "--business-ref", "C-2", "--json", profile=True
    )
    answer = tmp_path / "answer.json"
    policy = ["--policy", demo.ready["log_policy_file"], "--lang", "en"]

    answer.write_text(asked.stdout, encoding="utf-8")
    assert command("receipt", "verify", str(answer), *policy).returncode == 0

    answer.write_text(asked.stdout.replace('"restricted"', '"clear"'), encoding="utf-8")
    changed = command("receipt", "verify", str(answer), *policy)
    assert changed.returncode == 8
    assert "The answer is the one that the log entry commits to" in changed.stdout


def test_an_operator_brings_a_partner_on_and_takes_its_key_away(demo: Demo, tmp_path: Path):
    private, public = tmp_path / "new.pem", tmp_path / "new.pub.json"
    assert command("key", "generate", str(private), "--kid", "first").returncode == 0

    added = demo.run(
        "partner", "add", "second-partner", "--name", "甲", "--sector", "recycling", "--purpose", "risk", "--json"
    )
    keyed = demo.run("key", "add", "second-partner", "--jwk", str(public), "--json")
    assert (added.returncode, keyed.returncode) == (0, 0), added.stderr + keyed.stderr

    profile = tmp_path / "profile.json"
    members = demo.ready | {"client_id": "second-partner", "kid": "first", "private_key_file": str(private)}
    profile.write_text(json.dumps(members), encoding="utf-8")
    ask = ("verify", "919900000000000192", "--purpose", "risk", "--business-ref", "X", "--profile", str(profile))
    assert command(*ask).returncode == 0
    other_purpose = tuple("complaint" if word == "risk" else word for word in ask)
    assert command(*other_purpose).returncode == 3

    assert demo.run("key", "revoke", "first", "--client", "second-partner").returncode == 5  # the last one
    assert demo.run("key", "revoke", "first", "--client", "second-partner", "--compromised").returncode == 0
    assert command(*ask).returncode == 3
    kinds = [leaf["kind"] for leaf in json.loads(demo.run("audit", "list", "--limit", "20", "--json").stdout)]
    assert len(kinds) >= 4
    assert (
        demo.run("partner", "add", "second-partner", "--name", "甲", "--sector", "x", "--purpose", "risk").returncode
        == 5
    )
    assert demo.run("key", "list", "nobody-here").returncode == 4


def test_operators_see_feed_log_and_health(demo: Demo):
    feed = demo.run("feed", "status", "--json")
    assert json.loads(feed.stdout)["version"] >= 1
    assert demo.run("feed", "pull").returncode == 0
    assert demo.run("status").returncode == 0
    assert demo.run("config", "check", "--database").returncode == 0
    assert demo.run("audit", "fsck").returncode == 0
    leaf = demo.run("audit", "get", "0", "--json")
    assert json.loads(leaf.stdout)["leaf_index"] == 0
    assert demo.run("audit", "get", "99999999").returncode == 4
    assert "postgresql://" not in demo.run("config", "show").stdout


def test_the_admin_port_counts_all_processes_together(demo: Demo):
    with urllib.request.urlopen(f"{demo.ready['admin']}/metrics", timeout=10) as answer:
        text = answer.read().decode()

    assert "gateway_http_request_duration_seconds_count" in text
    assert 'gateway_child_restarts{child="worker-0"}' in text


def test_a_killed_worker_comes_back(demo: Demo):
    (worker,) = (
        pid
        for pid in descendants(demo.process.pid)
        if b"serve-worker\0--slot\0000\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    os.kill(worker, signal.SIGKILL)

    until(lambda: not alive(worker), "the end of the worker")
    until(lambda: is_ready(demo), "readiness")
    done = demo.run("verify", "919900000000000192", "--purpose", "onboarding", "--business-ref", "C-9", profile=True)
    assert done.returncode == 0, done.stderr


def test_stopping_leaves_nothing_but_the_directory(tmp_path: Path):
    home, ready_file = tmp_path / "home", tmp_path / "ready.json"
    process = start(home, ready_file)
    until(lambda: ready_file.exists() or process.poll() is not None, "the ready file")
    family = descendants(process.pid)
    assert len(family) >= 5

    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0, said.decode()
    assert "credit-gateway verify" in said.decode()
    assert not ready_file.exists()
    assert [pid for pid in family if alive(pid)] == []


def test_everything_ends_when_the_demo_is_killed_and_it_starts_again(tmp_path: Path):
    home, ready_file = tmp_path / "home", tmp_path / "ready.json"
    process = start(home, ready_file)
    until(lambda: ready_file.exists() or process.poll() is not None, "the ready file")
    ours = {
        pid
        for pid in descendants(process.pid)
        if b"gateway" in Path(f"/proc/{pid}/cmdline").read_bytes()
        and b"postgres" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    }
    server = int((home / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])

    process.kill()
    process.communicate(timeout=PATIENCE_S)

    until(lambda: not any(alive(pid) for pid in [*ours, server]), "the end of every process")
    again = start(home, tmp_path / "again.json")
    until(lambda: (tmp_path / "again.json").exists() or again.poll() is not None, "the second ready file")
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0
