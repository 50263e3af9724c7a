"""Host keys: made once, read strictly, and neither exposed nor public ones in production."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.base.host_keys import EXAMPLE_KEYS, KEY_FILES, create_host_keys, example_digests, load_host_keys
from gateway.base.settings import Settings, SettingsError, load_settings

EXAMPLES = Path(__file__).parents[3] / "keys" / "example"


def make_settings(keys_dir: Path, environment: str = "production") -> Settings:
    return load_settings(
        {
            "GATEWAY_ENVIRONMENT": environment,
            "GATEWAY_ISSUER": "https://gateway.example.cn",
            "GATEWAY_DATABASE_DSN": "postgresql://db/gateway",
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


def test_new_keys_are_readable_by_their_owner_alone_and_load(tmp_path: Path):
    made = create_host_keys(tmp_path / "keys")

    assert [file.name for file in made] == list(KEY_FILES)
    assert {file.stat().st_mode & 0o777 for file in made} == {0o600}
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert len(load_host_keys(make_settings(tmp_path / "keys")).sealing.reveal()) == 32


def test_a_key_that_is_there_is_never_made_again(tmp_path: Path):
    create_host_keys(tmp_path)
    (tmp_path / "sealing.key").unlink()
    before = {name: (tmp_path / name).read_bytes() for name in KEY_FILES if name != "sealing.key"}

    made = create_host_keys(tmp_path)

    assert [file.name for file in made] == ["sealing.key"]
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_every_missing_file_is_named(tmp_path: Path):
    assert faults_of(make_settings(tmp_path)) == [("key_missing", name) for name in KEY_FILES]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_may_read_is_refused_in_production(tmp_path: Path, mode: int):
    create_host_keys(tmp_path)
    (tmp_path / "log-signing.key").chmod(mode)

    assert faults_of(make_settings(tmp_path)) == [("key_exposed", "log-signing.key")]
    assert load_host_keys(make_settings(tmp_path, "demo"))


def test_what_systemd_hands_over_may_show_an_access_list_as_group_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    create_host_keys(tmp_path)
    (tmp_path / "log-signing.key").chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert load_host_keys(make_settings(tmp_path))
    (tmp_path / "log-signing.key").chmod(0o444)
    assert faults_of(make_settings(tmp_path)) == [("key_exposed", "log-signing.key")]


@pytest.mark.parametrize("content", [b"00" * 32, b"ab" * 31, b"AB" * 32, b"zz" * 32, b"\xff" * 64])
def test_a_key_in_another_form_is_refused(tmp_path: Path, content: bytes):
    create_host_keys(tmp_path)
    (tmp_path / "blind-index.key").write_bytes(content)

    assert faults_of(make_settings(tmp_path)) == [("key_malformed", "blind-index.key")]


def test_a_token_key_of_another_kind_is_refused(tmp_path: Path):
    create_host_keys(tmp_path)
    (tmp_path / "token-signing.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n")

    assert faults_of(make_settings(tmp_path)) == [("key_malformed", "token-signing.pem")]


def test_the_example_keys_are_the_ones_that_are_known():
    assert set(example_digests(EXAMPLES).values()) == EXAMPLE_KEYS


@pytest.mark.parametrize("name", KEY_FILES)
def test_each_example_key_is_refused_in_production_and_good_for_the_demo(tmp_path: Path, name: str):
    create_host_keys(tmp_path)
    shutil.copy(EXAMPLES / name, tmp_path / name)
    (tmp_path / name).chmod(0o600)

    assert faults_of(make_settings(tmp_path)) == [("key_example", name)]
    assert load_host_keys(make_settings(tmp_path, "demo"))
