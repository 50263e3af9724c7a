"""Settings: read strictly, refused all at once, and never a secret shown."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gateway.base.messages import Lang, say
from gateway.base.messages.settings import FAULTS, MEANINGS
from gateway.base.secret import Secret
from gateway.base.setting_faults import SettingsError
from gateway.base.settings import OPTIONS, Settings, load_settings

GOOD = {
    "GATEWAY_ISSUER": "https://gateway.example.cn",
    "GATEWAY_DATABASE_DSN": "postgresql://gateway_api:pw@127.0.0.1/gateway",
    "GATEWAY_KEYS_DIR": "/etc/credit-gateway/keys",
    "GATEWAY_LOG_ORIGIN": "audit.example.cn/log1",
    "GATEWAY_FEED_URL": "https://platform.example.cn/feed/",
    "GATEWAY_FEED_KEYS_FILE": "/etc/credit-gateway/platform-keys.txt",
}


def faults_of(variables: dict[str, str], config: Path | None = None) -> dict[str, str]:
    with pytest.raises(SettingsError) as refused:
        load_settings(variables, config)
    return {fault.name: fault.code for fault in refused.value.faults}


def test_what_must_be_said_is_enough():
    settings = load_settings(GOOD)

    assert settings.production
    assert (settings.bind.host, settings.bind.port, settings.workers) == ("127.0.0.1", 8080, 2)
    assert settings.feed_url == "https://platform.example.cn/feed"
    assert settings.feed_database_dsn is settings.database_dsn
    assert settings.sources["issuer"] == "environment"
    assert settings.sources["workers"] == "default"


def test_every_setting_that_must_be_said_is_missed_at_once():
    required = {option.variable: "missing" for option in OPTIONS if option.required}

    assert faults_of({}) == required


BAD = [
    ("GATEWAY_ENVIRONMENT", "test", "not_choice"),
    ("GATEWAY_ISSUER", "http://gateway.example.cn", "https_required"),
    ("GATEWAY_ISSUER", "https://gateway.example.cn/", "not_origin"),
    ("GATEWAY_ISSUER", "https://Gateway.example.cn", "not_origin"),
    ("GATEWAY_ISSUER", "https://gateway.example.cn:443", "not_origin"),
    ("GATEWAY_ISSUER", "https://user@gateway.example.cn", "not_origin"),
    ("GATEWAY_ISSUER", "https://gateway.example.cn?x", "not_origin"),
    ("GATEWAY_ISSUER", "gateway.example.cn", "not_url"),
    ("GATEWAY_ISSUER", "https://gate way.example.cn", "not_url"),
    ("GATEWAY_ISSUER", "https://:443", "not_url"),
    ("GATEWAY_DATABASE_DSN", "host=db dbname=gateway", "not_dsn"),
    ("GATEWAY_DATABASE_DSN", "postgresql://u@[::1/gateway", "not_dsn"),
    ("GATEWAY_DATABASE_DSN", "postgresql://u@a,,b/gateway", "not_dsn"),
    ("GATEWAY_DATABASE_DSN", "postgresql://u@127.0.0.1/gateway?sslmode", "not_dsn"),
    ("GATEWAY_DATABASE_DSN", "postgresql://u@db/gateway", "database_unverified"),
    ("GATEWAY_DATABASE_DSN", "postgresql://u@127.0.0.1/gateway?sslrootcert=/nowhere/ca.pem", "not_readable"),
    ("GATEWAY_FEED_DATABASE_DSN", "postgresql://u@/gateway?host=/run/postgresql,db2", "database_unverified"),
    ("GATEWAY_OPERATOR_DATABASE_DSN", "postgresql://u@192.0.2.1/gateway?sslmode=require", "database_unverified"),
    ("GATEWAY_BEHIND_PROXY", "yes", "not_boolean"),
    ("GATEWAY_BIND", "0.0.0.0:8080", "bind_open"),
    ("GATEWAY_BIND", "[::]:8080", "bind_open"),
    ("GATEWAY_BIND", "192.168.1.7:8080", "bind_open"),
    ("GATEWAY_BIND", "gateway.internal:8080", "bind_open"),
    ("GATEWAY_ADMIN_BIND", "0.0.0.0:9090", "admin_open"),
    ("GATEWAY_BIND", "8080", "not_address"),
    ("GATEWAY_BIND", "::1:8080", "not_address"),
    ("GATEWAY_BIND", "127.0.0.1:65536", "not_address"),
    ("GATEWAY_ADMIN_BIND", "127.0.0.1:8080", "same_address"),
    ("GATEWAY_WORKERS", "two", "not_integer"),
    ("GATEWAY_WORKERS", "0", "out_of_range"),
    ("GATEWAY_WORKERS", "9" * 19, "not_integer"),
    ("GATEWAY_KEYS_DIR", "", "missing"),
    ("GATEWAY_LOG_ORIGIN", "https://audit.example.cn/log1", "not_log_origin"),
    ("GATEWAY_LOG_ORIGIN", "audit.example.cn", "not_log_origin"),
    ("GATEWAY_LOG_ORIGIN", "audit.example.cn/log 1", "not_log_origin"),
    ("GATEWAY_HOST_NAME", "gw 1", "not_host_name"),
    ("GATEWAY_FEED_URL", "https://u:p@platform.example.cn", "not_url"),
    ("GATEWAY_FEED_URL", "http://platform.example.cn", "https_required"),
    ("GATEWAY_FEED_NAME", "Feed", "not_feed_name"),
    ("GATEWAY_MAX_STALE_S", "-1", "out_of_range"),
    ("GATEWAY_LOG_FORMAT", "xml", "not_choice"),
    ("GATEWAY_COLOUR", "blue", "unknown"),
    ("GATEWAY_WORKER", "2", "unknown_near"),
    ("GATEWAY_DATABASE_DSN_FILE", "/etc/hostname", "both_given"),
]


@pytest.mark.parametrize(("variable", "text", "code"), BAD, ids=[f"{v}-{c}-{n}" for n, (v, _, c) in enumerate(BAD)])
def test_each_bad_value_is_refused_by_the_name_of_its_variable(variable: str, text: str, code: str):
    name = variable.removesuffix("_FILE")

    assert faults_of(GOOD | {variable: text}) == {name: code}


def test_all_faults_are_said_at_once_in_both_languages():
    bad = GOOD | {"GATEWAY_WORKERS": "0", "GATEWAY_BIND": "x", "GATEWAY_LOG_LEVEL": "loud"}
    with pytest.raises(SettingsError) as refused:
        load_settings(bad)

    told = [say(FAULTS, fault.code, lang, **fault.params) for fault in refused.value.faults for lang in Lang]
    assert len(told) == 6
    assert all(told)


def test_plain_http_is_for_the_demo_on_this_machine_alone():
    demo = GOOD | {"GATEWAY_ENVIRONMENT": "demo", "GATEWAY_ISSUER": "http://127.0.0.1:8080"}

    assert load_settings(demo).issuer == "http://127.0.0.1:8080"
    assert load_settings(demo | {"GATEWAY_ISSUER": "http://[::1]:8080"}).issuer == "http://[::1]:8080"
    elsewhere = demo | {"GATEWAY_ISSUER": "http://192.0.2.1:8080"}
    assert faults_of(elsewhere) == {"GATEWAY_ISSUER": "https_required"}


def test_a_variable_overrides_the_file(host_folder: Path):
    file = host_folder / "gateway.toml"
    file.write_text('workers = 3\nlog_level = "debug"\n', encoding="utf-8")

    settings = load_settings(GOOD | {"GATEWAY_WORKERS": "4", "GATEWAY_CONFIG": str(file)})

    assert (settings.workers, settings.log_level) == (4, "debug")
    assert (settings.sources["workers"], settings.sources["log_level"]) == ("environment", "file")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"workers = ", {"GATEWAY_CONFIG": "not_toml"}),
        (b"\xff", {"GATEWAY_CONFIG": "not_readable"}),
        (b"[workers]\ncount = 3\n", {"GATEWAY_WORKERS": "not_integer"}),
        (b"wokers = 3\n", {"GATEWAY_WOKERS": "unknown_near"}),
    ],
)
def test_a_bad_file_is_refused(host_folder: Path, content: bytes, fault: dict[str, str]):
    file = host_folder / "gateway.toml"
    file.write_bytes(content)

    assert faults_of(GOOD, file) == fault


def test_a_file_that_is_not_there_is_refused(host_folder: Path):
    assert faults_of(GOOD, host_folder / "none.toml") == {"GATEWAY_CONFIG": "not_readable"}


def test_a_secret_may_stand_in_a_file_of_its_own(host_folder: Path):
    file = host_folder / "dsn"
    file.write_text("postgresql://u:p@localhost/gateway\n", encoding="utf-8")
    file.chmod(0o600)
    variables = {name: text for name, text in GOOD.items() if name != "GATEWAY_DATABASE_DSN"}

    settings = load_settings(variables | {"GATEWAY_DATABASE_DSN_FILE": str(file)})

    assert settings.database_dsn.reveal() == b"postgresql://u:p@localhost/gateway"
    missing = variables | {"GATEWAY_DATABASE_DSN_FILE": str(host_folder / "none")}
    assert faults_of(missing) == {"GATEWAY_DATABASE_DSN": "not_readable"}


def test_no_secret_shows_in_what_is_printed():
    settings = load_settings(GOOD)

    assert "pw@127" not in repr(settings)
    assert isinstance(settings.database_dsn, Secret)


def test_the_table_of_options_is_the_list_of_settings():
    fields = {field.name for field in dataclasses.fields(Settings)} - {"sources"}

    assert [option.name for option in OPTIONS if option.name not in fields] == []
    assert fields == {option.name for option in OPTIONS} == set(MEANINGS)


@pytest.mark.parametrize(
    "variables",
    [
        {"GATEWAY_BIND": "0.0.0.0:8080", "GATEWAY_BEHIND_PROXY": "true"},
        {"GATEWAY_BIND": "[::1]:8080"},
        {"GATEWAY_BIND": "localhost:8080"},
        {"GATEWAY_ADMIN_BIND": "10.0.0.7:9090", "GATEWAY_ADMIN_NETWORK_PRIVATE": "true"},
        {"GATEWAY_DATABASE_DSN": "postgresql://u@db.example.cn/gateway?sslmode=verify-full"},
        {"GATEWAY_DATABASE_DSN": "postgresql://u@/gateway?host=/run/postgresql"},
        {"GATEWAY_DATABASE_DSN": "postgresql://u@%2Frun%2Fpostgresql/gateway"},
        {"GATEWAY_DATABASE_DSN": "postgresql:///gateway"},
        {"GATEWAY_DATABASE_DSN": "postgresql://u@[::1]:5433,127.0.0.2/gateway"},
    ],
    ids=lambda variables: " ".join(variables.values()),
)
def test_what_production_asks_for_is_enough(variables: dict[str, str]):
    assert load_settings(GOOD | variables).production


@pytest.mark.parametrize(
    "variables",
    [
        {"GATEWAY_BIND": "0.0.0.0:8080"},
        {"GATEWAY_ADMIN_BIND": "0.0.0.0:9090"},
        {"GATEWAY_DATABASE_DSN": "postgresql://u@db/gateway"},
    ],
    ids=lambda variables: " ".join(variables.values()),
)
def test_the_demo_is_not_bothered(variables: dict[str, str]):
    assert not load_settings(GOOD | variables | {"GATEWAY_ENVIRONMENT": "demo"}).production


def test_variables_of_the_shell_can_lead_beyond_the_host_but_verify_nothing():
    open_end = GOOD | {"GATEWAY_DATABASE_DSN": "postgresql:///gateway", "PGSSLMODE": "verify-full"}

    assert load_settings(open_end).production
    assert faults_of(open_end | {"PGHOST": "db"}) == {"GATEWAY_DATABASE_DSN": "database_unverified"}
    assert faults_of(open_end | {"PGSERVICE": "other"}) == {"GATEWAY_DATABASE_DSN": "database_unverified"}


def test_a_promise_in_the_file_is_a_boolean_of_toml(host_folder: Path):
    file = host_folder / "gateway.toml"
    file.write_text('behind_proxy = true\nbind = "0.0.0.0:8080"\n', encoding="utf-8")

    assert load_settings(GOOD, file).behind_proxy


def test_a_file_that_holds_a_secret_is_read_by_nobody_else(host_folder: Path):
    file = host_folder / "gateway.toml"
    file.write_text(f'database_dsn = "{GOOD["GATEWAY_DATABASE_DSN"]}"\n', encoding="utf-8")
    file.chmod(0o644)
    other = {name: text for name, text in GOOD.items() if name != "GATEWAY_DATABASE_DSN"}

    assert faults_of(other, file) == {"GATEWAY_CONFIG": "secret_exposed"}
    assert faults_of(other | {"GATEWAY_ENVIRONMENT": "demo", "GATEWAY_WORKERS": "0"}, file) == {
        "GATEWAY_WORKERS": "out_of_range"
    }
    file.write_text("workers = 3\n", encoding="utf-8")
    assert load_settings(GOOD, file).workers == 3
