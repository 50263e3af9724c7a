"""Host keys: made once, read strictly, and neither exposed nor public ones in production."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.base.host_keys import (
    EXAMPLE_KEYS,
    KEY_FILES,
    create_host_keys,
    example_digests,
    load_host_keys,
    read_host_keys,
)
from gateway.base.setting_faults import SettingsError
from gateway.base.settings import Settings, load_settings
from gateway.base.trusted_files import Account

EXAMPLES = Path(__file__).parents[3] / "keys" / "example"


def make_settings(keys_dir: Path, environment: str = "production") -> Settings:
    return load_settings(
        {
            "GATEWAY_ENVIRONMENT": environment,
            "GATEWAY_ISSUER": "https://gateway.example.cn",
            "GATEWAY_DATABASE_DSN": "postgresql://127.0.0.1/gateway",
            "GATEWAY_KEYS_DIR": str(keys_dir),
            "GATEWAY_LOG_ORIGIN": "audit.example.cn/log1",
            "GATEWAY_FEED_URL": "https://platform.example.cn",
            "GATEWAY_FEED_KEYS_FILE": "platform-keys.txt",
        }
    )


def faults_of(settings: Settings) -> list[tuple[str, str]]:
    with pytest.raises(SettingsError) as refused:
        load_host_keys(settings)
    return [(fault.code, Path(str(fault.params["file"])).name) for fault in refused.value.faults]


def test_new_keys_are_readable_by_their_owner_alone_and_load(host_folder: Path):
    made = create_host_keys(host_folder / "keys")

    assert [file.name for file in made] == list(KEY_FILES)
    assert {file.stat().st_mode & 0o777 for file in made} == {0o600}
    assert (host_folder / "keys").stat().st_mode & 0o777 == 0o700
    assert len(load_host_keys(make_settings(host_folder / "keys")).sealing.reveal()) == 32


def test_a_key_that_is_there_is_never_made_again(host_folder: Path):
    create_host_keys(host_folder)
    (host_folder / "sealing.key").unlink()
    before = {name: (host_folder / name).read_bytes() for name in KEY_FILES if name != "sealing.key"}

    made = create_host_keys(host_folder)

    assert [file.name for file in made] == ["sealing.key"]
    assert {name: (host_folder / name).read_bytes() for name in before} == before


def test_every_missing_file_is_named(host_folder: Path):
    assert faults_of(make_settings(host_folder)) == [("key_missing", name) for name in KEY_FILES]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_may_read_is_refused_in_production(host_folder: Path, mode: int):
    create_host_keys(host_folder)
    (host_folder / "log-signing.key").chmod(mode)

    assert faults_of(make_settings(host_folder)) == [("key_exposed", "log-signing.key")]
    assert load_host_keys(make_settings(host_folder, "demo"))


def test_what_systemd_hands_over_may_show_an_access_list_as_group_rights(
    host_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    create_host_keys(host_folder)
    (host_folder / "log-signing.key").chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(host_folder))

    assert load_host_keys(make_settings(host_folder))
    (host_folder / "log-signing.key").chmod(0o444)
    assert faults_of(make_settings(host_folder)) == [("key_exposed", "log-signing.key")]


@pytest.mark.parametrize("content", [b"00" * 32, b"ab" * 31, b"AB" * 32, b"zz" * 32, b"\xff" * 64])
def test_a_key_in_another_form_is_refused(host_folder: Path, content: bytes):
    create_host_keys(host_folder)
    (host_folder / "blind-index.key").write_bytes(content)

    assert faults_of(make_settings(host_folder)) == [("key_malformed", "blind-index.key")]


def test_a_token_key_of_another_kind_is_refused(host_folder: Path):
    create_host_keys(host_folder)
    (host_folder / "token-signing.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n")

    assert faults_of(make_settings(host_folder)) == [("key_malformed", "token-signing.pem")]


def test_the_example_keys_are_the_ones_that_are_known():
    assert set(example_digests(EXAMPLES).values()) == EXAMPLE_KEYS


@pytest.mark.parametrize("name", KEY_FILES)
def test_each_example_key_is_refused_in_production_and_good_for_the_demo(host_folder: Path, name: str):
    create_host_keys(host_folder)
    shutil.copy(EXAMPLES / name, host_folder / name)
    (host_folder / name).chmod(0o600)

    assert faults_of(make_settings(host_folder)) == [("key_example", name)]
    assert load_host_keys(make_settings(host_folder, "demo"))


def test_a_key_that_stands_in_two_files_is_refused_in_production(host_folder: Path):
    create_host_keys(host_folder)
    (host_folder / "sealing.key").write_bytes((host_folder / "dpop-nonce.key").read_bytes().rstrip())

    assert faults_of(make_settings(host_folder)) == [("key_twice", "sealing.key")]
    assert load_host_keys(make_settings(host_folder, "demo"))


def test_a_key_of_roots_may_be_read_by_the_groups_of_a_service_that_is_not_root(host_folder: Path):
    """As Kubernetes mounts a secret with ``fsGroup``; a folder of links to it is walked through."""
    create_host_keys(host_folder / "..2026_11_25")
    (host_folder / "..data").symlink_to("..2026_11_25")
    (host_folder / "keys").mkdir(mode=0o755)
    host_folder.chmod(0o755)
    for name in KEY_FILES:
        (host_folder / "keys" / name).symlink_to(f"../..data/{name}")
        (host_folder / "..2026_11_25" / name).chmod(0o440)
    owner = host_folder.stat()
    if owner.st_uid != 0:
        pytest.skip("only root can make files of root's")
    ours = Account(uid=4321, groups=frozenset({owner.st_gid}))
    strangers = Account(uid=4321, groups=frozenset({4321}))

    _, faults = read_host_keys(host_folder / "keys", ours, production=True)
    _, refused = read_host_keys(host_folder / "keys", strangers, production=True)

    assert faults == []
    assert [fault.code for fault in refused] == ["key_exposed"] * len(KEY_FILES)


def test_a_folder_that_others_may_write_is_named_once_for_all_its_keys(host_folder: Path):
    create_host_keys(host_folder)
    host_folder.chmod(0o770)

    with pytest.raises(SettingsError) as refused:
        load_host_keys(make_settings(host_folder))

    assert [(fault.code, fault.params["place"]) for fault in refused.value.faults] == [
        ("path_writable", str(host_folder))
    ]
    assert load_host_keys(make_settings(host_folder, "demo"))
