"""Whoever could exchange a trusted file is found on the way to it, whichever way that leads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.base.trusted_files import ROOT_UID, Account, judge_path, read_trusted

US = Account(uid=os.geteuid(), groups=frozenset({os.getegid()}))
STRANGER = 4321


def found(path: Path, account: Account = US) -> list[tuple[str, str]]:
    return [(fault.code, fault.place) for fault in judge_path(path, account)]


def make_file(file: Path, mode: int = 0o600) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"trusted")
    file.chmod(mode)
    return file


def give_away(path: Path) -> Account:
    """Make a path somebody else's, and return who asks: as root by chown, else by asking as another user."""
    if os.geteuid() == ROOT_UID:
        os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
        return US
    return Account(uid=STRANGER, groups=frozenset())


def test_a_file_of_ours_in_folders_of_ours_is_trusted(host_folder: Path):
    file = make_file(host_folder / "etc" / "keys" / "one.key", 0o644)

    assert found(file) == []
    assert read_trusted(file, US).content == b"trusted"
    assert read_trusted(file, US).faults == ()


@pytest.mark.parametrize("mode", [0o660, 0o602, 0o666])
def test_a_file_that_others_may_write_is_found(host_folder: Path, mode: int):
    file = make_file(host_folder / "one.key", mode)

    assert found(file) == [("path_writable", str(file))]
    assert [fault.mode for fault in read_trusted(file, US).faults] == [mode]


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize(
    ("mode", "code"), [(0o770, "path_writable"), (0o707, "path_writable"), (0o1777, "path_sticky")]
)
def test_a_folder_that_others_may_write_is_found_at_any_height(host_folder: Path, depth: int, mode: int, code: str):
    file = make_file(host_folder / "a" / "b" / "one.key")
    folder = file.parents[depth]
    folder.chmod(mode)

    assert found(file) == [(code, str(folder))]


def test_the_system_folder_for_everybody_is_no_place_for_a_key():
    sticky = Path("/tmp")
    assert sticky.stat().st_mode & 0o1002 == 0o1002, "this machine's /tmp is not as others' are"

    assert ("path_sticky", "/tmp") in found(sticky)


MOUNTED = """
import sys
from pathlib import Path
from gateway.base.trusted_files import Account, judge_path, read_trusted
us = Account.current({})
file = Path(sys.argv[1]) / "one.key"
said = [*read_trusted(file, us).faults, *judge_path(file.parent, us)]
print([(fault.code, fault.place) for fault in said if fault.place.startswith(sys.argv[1])])
"""
KUBERNETES = """
mount -t tmpfs -o mode=1777 secret "$1" && mkdir -m 755 "$1/..1" && printf trusted > "$1/..1/one.key" && chmod 440 "$1/..1/one.key" \\
  && ln -s ..1 "$1/..data" && ln -s ..data/one.key "$1/one.key" || exit 77
"$2" -c "$3" "$1"
mount -o remount,bind,ro "$1" || exit 77
"$2" -c "$3" "$1"
"""


def test_a_secret_of_kubernetes_passes_because_its_mount_is_read_only(host_folder: Path):
    """A file system in memory, root's, open to all but sticky; mounted read-only; names are links into a folder of one version."""
    place = str(host_folder)
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", KUBERNETES, "sh", place, sys.executable, MOUNTED]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, cwd=Path(__file__).parents[3]
    )
    if done.returncode in {1, 77} and not done.stdout:
        pytest.skip("this machine lets nobody mount anything")

    assert done.stdout.splitlines() == [str([("path_sticky", place)] * 2), "[]"], done.stderr


@pytest.mark.parametrize("depth", [0, 1])
def test_what_somebody_else_owns_is_found(host_folder: Path, depth: int):
    file = make_file(host_folder / "a" / "one.key")
    theirs = [file, file.parent][depth]
    account = give_away(theirs)

    faults = judge_path(file, account)

    assert ("path_owner", str(theirs)) in [(fault.code, fault.place) for fault in faults]
    assert theirs.stat().st_uid in {fault.owner for fault in faults}


def test_what_root_owns_is_trusted_by_everybody():
    anybody = Account(uid=STRANGER, groups=frozenset())

    assert found(Path("/etc"), anybody) == []


def test_a_link_in_a_safe_place_does_not_hide_an_unsafe_folder(host_folder: Path):
    file = make_file(host_folder / "unsafe" / "real" / "one.key")
    file.parents[1].chmod(0o777)
    safe = host_folder / "safe"
    safe.mkdir()
    for name, target in {"relative": "../unsafe/real/one.key", "absolute": str(file), "hop": "relative"}.items():
        (safe / name).symlink_to(target)
        assert found(safe / name) == [("path_writable", str(file.parents[1]))], name
    (safe / "folder").symlink_to("../unsafe/real")
    assert found(safe / "folder" / "one.key") == [("path_writable", str(file.parents[1]))]


def test_a_link_in_an_unsafe_folder_is_found_though_its_target_is_safe(host_folder: Path):
    file = make_file(host_folder / "safe" / "one.key")
    unsafe = host_folder / "unsafe"
    unsafe.mkdir()
    (unsafe / "link").symlink_to(file)
    unsafe.chmod(0o777)
    (host_folder / "first").symlink_to("unsafe/link")

    assert found(unsafe / "link") == [("path_writable", str(unsafe))]
    assert found(host_folder / "first") == [("path_writable", str(unsafe))]


def test_a_link_that_somebody_else_has_put_there_is_found(host_folder: Path):
    file = make_file(host_folder / "safe" / "one.key")
    link = host_folder / "link"
    link.symlink_to(file)
    account = give_away(link)

    assert ("path_owner", str(link)) in found(link, account)


def test_a_way_up_and_down_again_counts_as_it_goes(host_folder: Path):
    file = make_file(host_folder / "safe" / "one.key")
    aside = host_folder / "aside"
    aside.mkdir()
    aside.chmod(0o777)

    assert found(host_folder / "aside" / ".." / "safe" / "one.key") == [("path_writable", str(aside))]
    assert found(file) == []


def test_a_circle_of_links_ends(host_folder: Path):
    (host_folder / "one").symlink_to("two")
    (host_folder / "two").symlink_to("one")

    with pytest.raises(OSError, match="symbolic links"):
        judge_path(host_folder / "one", US)


@pytest.mark.parametrize("kind", ["pipe", "folder", "nothing"])
def test_what_is_no_file_is_not_read_and_nothing_waits(host_folder: Path, kind: str):
    path = host_folder / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()

    with pytest.raises(OSError, match=kind):
        read_trusted(path, US)


def test_no_descriptor_is_left_open(host_folder: Path):
    file = make_file(host_folder / "one.key")
    (host_folder / "link").symlink_to(file)
    before = len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(5):
        read_trusted(host_folder / "link", US)
        judge_path(host_folder / "link", US)
        with pytest.raises(OSError, match="Invalid argument"):
            read_trusted(host_folder, US)

    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
def test_a_secret_that_its_owner_alone_may_read_is_none_of_others(host_folder: Path, mode: int):
    assert not read_trusted(make_file(host_folder / "secret", mode), US).exposed


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o604, 0o640, 0o610])
def test_a_secret_that_others_may_read_is_exposed(host_folder: Path, mode: int):
    assert read_trusted(make_file(host_folder / "secret", mode), US).exposed


def test_what_systemd_hands_over_shows_an_access_list_as_rights_of_the_group(host_folder: Path):
    file = make_file(host_folder / "credentials" / "secret", 0o440)
    account = Account.current({"CREDENTIALS_DIRECTORY": str(file.parent)})

    assert not read_trusted(file, account).exposed
    around = file.parent / ".." / "secret"
    make_file(host_folder / "secret", 0o440)
    assert read_trusted(around, account).exposed
