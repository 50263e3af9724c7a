"""The guard's file: shared by processes, whole after a torn write, and silent about nothing."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit.batch_mac import TreePoint
from gateway.audit.guard import Doubt, GuardState
from gateway.audit.merkle import EMPTY_ROOT
from gateway.base.errors import ErrorKind, GatewayError
from gateway.guard.log_guard import KEPT_POINTS, SLOT_BYTES, LogGuardFile

ORIGIN = "audit.test.example/log1"
EMPTY = TreePoint(0, EMPTY_ROOT)


def tree(size: int) -> TreePoint:
    return TreePoint(size, sha256(b"%d" % size).digest())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "guard" / "log-1.guard"


@pytest.fixture
def guard(file: Path) -> LogGuardFile:
    made = LogGuardFile(file, ORIGIN)
    made.create(EMPTY)
    return made


def test_a_log_that_nobody_guards_is_doubted(file: Path):
    assert LogGuardFile(file, ORIGIN).read().doubt is Doubt.GUARD_MISSING


def test_a_new_guard_begins_at_its_tree_and_only_its_owner_reads_it(file: Path):
    guard = LogGuardFile(file, ORIGIN)
    guard.create(tree(7))

    assert guard.read() == GuardState((tree(7),))
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_a_guard_is_never_replaced(guard: LogGuardFile, file: Path):
    guard.advance(EMPTY, tree(5))

    with pytest.raises(FileExistsError):
        LogGuardFile(file, ORIGIN).create(EMPTY)

    assert guard.read().last == tree(5)
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_what_one_process_advances_every_other_sees(guard: LogGuardFile, file: Path):
    other = LogGuardFile(file, ORIGIN)
    other.read()

    assert guard.advance(EMPTY, EMPTY, tree(3))
    assert other.read() == GuardState((EMPTY, tree(3)))
    assert other.advance(tree(3), tree(3), tree(4))
    assert guard.read() == GuardState((EMPTY, tree(3), tree(4)))


def test_advancing_from_what_is_no_longer_the_last_does_nothing(guard: LogGuardFile):
    guard.advance(EMPTY, tree(3))

    assert not guard.advance(EMPTY, tree(9))
    assert guard.read().last == tree(3)


def test_advancing_to_what_is_there_writes_nothing(guard: LogGuardFile, file: Path):
    before = file.read_bytes()

    assert guard.advance(EMPTY, EMPTY)
    assert file.read_bytes() == before


def test_a_bounded_number_of_points_is_kept(guard: LogGuardFile, file: Path):
    for size in range(1, 200):
        assert guard.advance(guard.read().last, tree(size))

    assert guard.read().points == tuple(tree(size) for size in range(200 - KEPT_POINTS, 200))
    assert file.stat().st_size == 2 * SLOT_BYTES


def test_the_largest_state_fits_its_slot(file: Path):
    largest = LogGuardFile(file, "a" * 200 + ".example/log")
    largest.create(EMPTY)
    for at in range(KEPT_POINTS + 1):
        assert largest.advance(largest.read().last, tree(2**62 + at))
    largest.doubt(Doubt.CONTRADICTS_HEAD)

    assert LogGuardFile(file, "a" * 200 + ".example/log").read() == largest.read()
    assert len(file.read_bytes()) == 2 * SLOT_BYTES


def test_a_doubt_stays_until_it_is_resolved(guard: LogGuardFile, file: Path):
    assert guard.doubt(Doubt.FORKED)
    assert not guard.doubt(Doubt.ROLLED_BACK)

    assert LogGuardFile(file, ORIGIN).read() == GuardState((EMPTY,), Doubt.FORKED)
    assert not guard.advance(EMPTY, tree(1))
    assert not guard.resolve(Doubt.ROLLED_BACK)
    assert guard.resolve(Doubt.FORKED)
    assert guard.read() == GuardState((EMPTY,))


@pytest.mark.parametrize("torn", [0, 1])
def test_a_torn_write_leaves_the_state_before(guard: LogGuardFile, file: Path, torn: int):
    """Two slots in turn: whichever write was cut short by a power cut, the other one is whole."""
    for size in range(1, 3 + torn):
        guard.advance(guard.read().last, tree(size))
    newest = guard.read().last
    content = bytearray(file.read_bytes())
    at = content.index(f"{newest.size} ".encode(), content.index(f"\n{newest.size + 1}\n".encode()))
    content[at : at + 1] = b"?"
    file.write_bytes(content)

    assert LogGuardFile(file, ORIGIN).read().last == tree(newest.size - 1)


def test_a_file_with_no_whole_slot_is_a_doubt(guard: LogGuardFile, file: Path):
    file.write_bytes(bytes(2 * SLOT_BYTES))

    assert guard.read().doubt is Doubt.GUARD_UNUSABLE
    with pytest.raises(GatewayError) as refused:
        guard.advance(EMPTY, tree(1))
    assert (refused.value.kind, refused.value.reason) == (ErrorKind.STORE_UNAVAILABLE, Doubt.GUARD_UNUSABLE)


def test_the_guard_of_another_log_is_a_doubt(guard: LogGuardFile, file: Path):
    assert guard.read().doubt is None
    assert LogGuardFile(file, "audit.test.example/log2").read().doubt is Doubt.GUARD_UNUSABLE


def test_a_link_in_its_place_is_not_followed(guard: LogGuardFile, file: Path):
    guard.close()
    file.rename(file.with_name("elsewhere"))
    file.symlink_to(file.with_name("elsewhere"))

    assert LogGuardFile(file, ORIGIN).read().doubt is Doubt.GUARD_UNUSABLE


def test_a_guard_that_was_removed_is_missing_for_everyone_at_once(guard: LogGuardFile, file: Path):
    guard.advance(EMPTY, tree(1))
    file.unlink()

    assert guard.read().doubt is Doubt.GUARD_MISSING
    with pytest.raises(GatewayError):
        guard.advance(tree(1), tree(2))


def test_a_guard_begun_anew_is_the_guard_of_everyone(guard: LogGuardFile, file: Path):
    """What `log join` makes after a loss: a process that was running moves to it, and sees the doubts of others."""
    guard.advance(EMPTY, tree(1))
    file.unlink()
    LogGuardFile(file, ORIGIN).create(tree(2))

    assert guard.read() == GuardState((tree(2),))
    LogGuardFile(file, ORIGIN).doubt(Doubt.FORKED)
    assert guard.read().doubt is Doubt.FORKED


def test_a_guard_that_was_taken_back_is_no_guard(guard: LogGuardFile, file: Path):
    guard.advance(EMPTY, tree(1))
    then = file.read_bytes()
    guard.advance(tree(1), tree(2))
    file.write_bytes(then)

    assert guard.read().doubt is Doubt.GUARD_UNUSABLE


def test_a_disk_that_refuses_a_write_once_is_never_relied_on_again(file: Path):
    """Fsync reports an error once and forgets it: the second call would succeed and have written nothing."""
    guard = LogGuardFile(file, ORIGIN)
    guard.create(EMPTY)
    guard.advance(EMPTY, tree(1))
    os.close(guard._fd)
    guard._fd, other = os.pipe()  # fdatasync(2) on a pipe fails

    guard.flush()

    assert guard.read().doubt is Doubt.GUARD_UNUSABLE
    with pytest.raises(GatewayError):
        guard.advance(tree(1), tree(2))
    os.close(guard._fd)
    os.close(other)


def test_a_holder_that_does_not_run_stops_nobodys_reading(guard: LogGuardFile, file: Path):
    """A process stopped in the middle of its few system calls: others read on, lose their compare-and-swap, and go on once it is gone."""
    with file.open("rb") as stopped:
        fcntl.flock(stopped, fcntl.LOCK_EX)

        assert guard.read() == GuardState((EMPTY,))
        assert not guard.advance(EMPTY, tree(1))

    assert guard.advance(EMPTY, tree(1))


def test_a_doubt_that_cannot_be_kept_is_refused_all_the_same(guard: LogGuardFile, file: Path):
    with file.open("rb") as stopped:
        fcntl.flock(stopped, fcntl.LOCK_EX)

        with pytest.raises(GatewayError) as refused:
            guard.doubt(Doubt.FORKED)

    assert refused.value.reason == Doubt.GUARD_UNUSABLE
    assert guard.read().doubt is None


def test_what_was_flushed_and_closed_is_found_again(guard: LogGuardFile, file: Path):
    guard.advance(EMPTY, tree(1))
    guard.flush()
    guard.advance(tree(1), tree(2))
    guard.close()

    assert LogGuardFile(file, ORIGIN).read().points == (EMPTY, tree(1), tree(2))


_RACER = """
import sys
from pathlib import Path
from hashlib import sha256
from gateway.audit.batch_mac import TreePoint
from gateway.guard.log_guard import LogGuardFile
guard = LogGuardFile(Path(sys.argv[1]), sys.argv[2])
won = 0
while won < 100:
    last = guard.read().last
    won += guard.advance(last, TreePoint(last.size + 1, sha256(b"%d" % (last.size + 1)).digest()))
"""


@pytest.mark.slow
def test_four_processes_lose_no_step(guard: LogGuardFile, file: Path):
    """Compare-and-swap over processes: four times a hundred wins are four hundred steps."""
    racers = [subprocess.Popen([sys.executable, "-c", _RACER, str(file), ORIGIN]) for _ in range(4)]

    assert [racer.wait(timeout=60) for racer in racers] == [0] * 4
    assert guard.read().points == tuple(tree(size) for size in range(401 - KEPT_POINTS, 401))


@settings(max_examples=200, deadline=None)
@given(
    damage=st.lists(st.tuples(st.integers(0, 2 * SLOT_BYTES - 1), st.integers(0, 255)), min_size=1, max_size=8),
    length=st.integers(0, 2 * SLOT_BYTES),
)
def test_damage_is_an_older_state_or_a_doubt_never_another_state(
    damage: list[tuple[int, int]], length: int, tmp_path_factory: pytest.TempPathFactory
):
    file = tmp_path_factory.mktemp("guard") / "log.guard"
    guard = LogGuardFile(file, ORIGIN)
    guard.create(EMPTY)
    states = [guard.read()]
    for size in (1, 2, 3):
        guard.advance(guard.read().last, tree(size))
        states.append(guard.read())
    guard.close()
    content = bytearray(file.read_bytes())
    for at, value in damage:
        content[at] = value
    file.write_bytes(content[:length])

    found = LogGuardFile(file, ORIGIN)
    state = found.read()
    found.close()
    file.unlink()

    assert state.doubt is Doubt.GUARD_UNUSABLE or state in states
