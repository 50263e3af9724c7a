"""The command line as a whole: help everywhere, in two languages, one sentence for every error, fixed exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.messages import Lang
from gateway.base.messages.card import CARD
from gateway.base.messages.cli import OWN, WORDS
from gateway.base.messages.database import DATABASE
from gateway.base.messages.demo import DEMO
from gateway.base.messages.help import HELP
from gateway.base.messages.log import LOG
from gateway.cli.main import main
from gateway.cli.tree import COMMANDS, build_app
from gateway.terminal.failures import CommandError, exit_of, explain
from gateway.terminal.terminal import Exit, Terminal

VISIBLE = [command for command in COMMANDS if command.examples]
BLANK = re.compile(r"\{(\w+)\}")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch):
    """No settings and no language from the machine that runs the tests."""
    for name in ("LANG", "LC_ALL", "LC_MESSAGES", "GATEWAY_CONFIG", "GATEWAY_LANG", "GATEWAY_ISSUER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.parametrize("command", VISIBLE, ids=lambda command: command.path)
def test_every_command_has_help_with_an_example(capsys, command):
    code = main([*command.path.split(), "--help", "--lang", "en"])

    shown = capsys.readouterr().out
    assert code == Exit.OK
    assert HELP[command.path].en in shown
    for example in command.examples:
        assert f"credit-gateway {example}" in shown


@pytest.mark.parametrize("noun", sorted({c.path.split()[0] for c in VISIBLE if " " in c.path}))
def test_every_noun_has_help(capsys, noun: str):
    assert main([noun, "--help"]) == Exit.OK
    assert HELP[noun].zh in capsys.readouterr().out


def test_what_the_supervisor_starts_is_hidden(capsys):
    main(["--help"])

    assert "serve-worker" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["nope"], ["partner", "nope"], ["verify"], ["audit", "list", "--limit", "0"], ["version", "--x"]]
)
def test_a_wrong_command_line_ends_with_2_and_one_sentence(capsys, arguments: list[str]):
    assert main([*arguments, "--lang", "en"]) == Exit.USAGE

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("Usage: ")
    assert "Traceback" not in shown.err


@pytest.mark.parametrize("arguments", [["receipt", "verify", "-", "--policy", "x"], ["key", "add", "x", "--jwk", "-"]])
def test_a_file_may_be_standard_input(arguments: list[str]):
    _function, bound, _ignored = build_app(Lang.EN).parse_args(arguments, exit_on_error=False, print_error=False)

    assert Path("-") in bound.arguments.values()


def test_missing_settings_end_with_78_and_name_every_variable(capsys):
    assert main(["config", "check", "--lang", "en"]) == Exit.CONFIGURATION

    shown = capsys.readouterr().err
    assert "GATEWAY_ISSUER is not set" in shown
    assert "GATEWAY_KEYS_DIR is not set" in shown


def test_chinese_is_the_default_and_an_english_locale_is_respected(capsys, monkeypatch: pytest.MonkeyPatch):
    main(["config", "check"])
    assert "GATEWAY_ISSUER 未设置" in capsys.readouterr().err

    monkeypatch.setenv("LANG", "en_GB.UTF-8")
    main(["config", "check"])
    assert "GATEWAY_ISSUER is not set" in capsys.readouterr().err


def test_the_schema_of_the_settings_is_one_json_document(capsys):
    assert main(["config", "schema", "--json"]) == Exit.OK

    options = json.loads(capsys.readouterr().out)
    assert {"GATEWAY_ISSUER", "GATEWAY_DATABASE_DSN"} <= {option["variable"] for option in options}


def test_python_m_gateway_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "version", "--json"], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0
    assert set(json.loads(done.stdout)) == {"version"}


def test_every_kind_of_refusal_has_an_exit_code_and_a_sentence(capsys):
    for lang in Lang:
        terminal = Terminal(lang=lang)
        for kind in ErrorKind:
            assert explain(GatewayError(kind), terminal) is exit_of(kind)
            assert exit_of(kind) is not Exit.OK
            assert capsys.readouterr().err.strip()


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ErrorKind.INVALID_TOKEN, 3),
        (ErrorKind.NOT_FOUND, 4),
        (ErrorKind.CONFLICT, 5),
        (ErrorKind.STORE_UNAVAILABLE, 7),
    ],
)
def test_exit_codes_are_the_documented_ones(kind: ErrorKind, code: int):
    assert exit_of(kind) == code


def test_a_defect_is_one_sentence_without_its_text(capsys):
    with pytest.raises(ValueError, match="invalid literal") as raised:
        int("919900000000000192x")

    assert explain(raised.value, Terminal(lang=Lang.EN)) is Exit.FAILED
    shown = capsys.readouterr().err
    assert "ValueError" in shown
    assert "919900000000000192x" not in shown


def test_a_command_error_carries_its_own_exit_code(capsys):
    error = CommandError(Exit.CONFLICT, "file_exists", file="x")

    assert explain(error, Terminal(lang=Lang.EN)) is Exit.CONFLICT
    assert "x exists" in capsys.readouterr().err


def test_no_code_stands_in_two_tables():
    """Each subject's table goes into one: a code that stood in two would mean whichever came last."""
    assert len(WORDS) == sum(len(table) for table in (CARD, DATABASE, DEMO, LOG)) + len(OWN)


@pytest.mark.parametrize("table", [WORDS, HELP], ids=["words", "help"])
def test_both_languages_have_the_same_blanks(table):
    for code, sentence in table.items():
        assert set(BLANK.findall(sentence.zh)) == set(BLANK.findall(sentence.en)), code


def test_a_thumbprint_that_begins_with_a_hyphen_is_no_option(capsys: pytest.CaptureFixture[str]):
    """One in 64 does. The command gets as far as the settings, which are not there."""
    thumbprint = "-Lsiws53neNDFb_zE35EqlNdFX-2i1ymvIHt7954IWg"

    assert main(["key", "revoke", thumbprint, "--compromised", "--lang", "en"]) == Exit.CONFIGURATION
    assert "Unknown option" not in capsys.readouterr().err
