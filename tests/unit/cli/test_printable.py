"""What a server, a file or a database says cannot drive the terminal of whoever reads it."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gateway.api.oauth import OAuthErrorAnswer, TokenAnswer
from gateway.api.openapi import VerificationAnswer
from gateway.audit.checkpoint import CheckpointSigner
from gateway.audit.note import NoteSigner
from gateway.audit.policy import render_policy
from gateway.base.crypto import Ed25519Signer
from gateway.base.messages import Lang
from gateway.base.printable import MAX_SHOWN_CHARS, REPLACEMENT, printable, printable_json, printable_lines
from gateway.base.secret import Secret
from gateway.cli.card import show_card
from gateway.cli.main import main
from gateway.credit.answer import Answer
from gateway.identity.signing_key import SigningKey
from gateway.terminal.terminal import Exit, Terminal
from gateway.web.problem import Problem
from tests.fakes.hostile import ALL, KINDS, LONE_SURROGATES, answer, around, document, filled, seen, server

TOKEN = json.dumps(
    {"access_token": "dG9rZW4", "token_type": "DPoP", "expires_in": 300, "scope": "verifications"}
).encode()
POLICY = render_policy([CheckpointSigner(NoteSigner("audit.example/1", Ed25519Signer(Secret(bytes(32))))).vkey])
CASES = [pytest.param(kind, id=name) for name, kind in {**KINDS, "lone surrogates": LONE_SURROGATES}.items()]
IN_JSON = [pytest.param(kind, id=name) for name, kind in {**KINDS, "all at once": ALL}.items()]
WAYS = [
    *(pytest.param(kind, (), id=name) for name, kind in KINDS.items()),
    pytest.param(ALL, ("--json",), id="all at once as JSON"),
]


# --- the one function


@pytest.mark.parametrize("kind", CASES)
def test_each_kind_is_shown_as_a_replacement_character(kind):
    shown = printable(around(kind))

    assert seen(shown) == set()
    assert "\n" not in shown
    assert shown.startswith(f"甲{REPLACEMENT}")
    assert shown.endswith("乙")


@given(st.text(st.characters(codec=None)))
def test_nothing_harmful_ever_passes_and_what_passed_stays(text):
    shown = printable(text)

    assert seen(shown) == set()
    assert "\n" not in shown
    assert printable(shown) == shown
    assert printable_lines(text).count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        "某网络货运平台（深圳）有限公司",
        "第 18 位\u3000是校验位",
        "a\u00a0b",
        "𠮷野家",
        "\U00031350",
        "Ünïcode",
        "✔ ⚠ · …",
        "é",
        "👍",
    ],
)
def test_what_people_write_is_shown_as_it_is(text):
    """Wide spaces, rare ideographs, some younger than the tables of this Python, accents and signs."""
    assert printable(text) == text


def test_a_text_without_end_is_cut():
    assert printable("x" * (1 << 20)) == "x" * MAX_SHOWN_CHARS + "…"


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_stays_the_same_json_with_escapes(value):
    """Also for characters that need a pair of escapes."""
    shown = printable_json(json.dumps(value, ensure_ascii=False, indent=2))

    assert seen(shown) == set()
    assert json.loads(shown) == value


# --- the card, and the document of --json


def screen(lang: Lang = Lang.ZH, *, json_wanted: bool = False) -> tuple[Terminal, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    consoles = [Console(file=stream, width=400, highlight=False, soft_wrap=True) for stream in (out, err)]
    return Terminal(lang=lang, json=json_wanted, out=consoles[0], err=consoles[1]), out, err


def texts_of(tree: object) -> int:
    """How many texts a document holds."""
    if isinstance(tree, dict):
        return sum(map(texts_of, tree.values()))
    if isinstance(tree, list):
        return sum(map(texts_of, tree))
    return isinstance(tree, str)


@pytest.mark.parametrize("lang", list(Lang))
@pytest.mark.parametrize("kind", CASES)
def test_no_text_of_an_answer_drives_the_card(kind, lang):
    terminal, out, _ = screen(lang)
    answered = filled(Answer, around(kind))
    verified = SimpleNamespace(proven=SimpleNamespace(checkpoint=SimpleNamespace(origin=around(kind))), leaf_index=7)

    show_card(terminal, answered, verified)

    shown = out.getvalue()
    assert seen(shown) == set()
    assert shown.count(f"甲{REPLACEMENT}") > 20  # they were all there
    assert not [line for line in shown.split("\n") if line.strip("│ ").startswith("✔ FORGED")]


@pytest.mark.parametrize("kind", IN_JSON)
def test_no_text_of_an_answer_drives_what_json_is_written_to(kind):
    terminal, out, _ = screen(json_wanted=True)
    given_answer = document(VerificationAnswer, around(kind))

    terminal.received(given_answer)

    shown = out.getvalue()
    assert seen(shown) == set()
    assert json.loads(shown) == json.loads(given_answer)
    assert texts_of(json.loads(shown)) > 60


@pytest.mark.parametrize("kind", CASES)
def test_no_cell_of_a_table_and_no_blank_of_a_sentence_drives_the_terminal(kind):
    """Names of partners, reasons of a platform, names of files, whoever chose them."""
    terminal, out, err = screen()
    text = around(kind)

    terminal.table(("name",), [(text,)])
    terminal.tell("status_down", url=text, reason=text)
    terminal.complain(terminal.word("file_unreadable", file=text))
    terminal.complain(text)
    terminal.line(text)
    if kind != LONE_SURROGATES:  # msgspec, like JSON, knows none
        terminal.tree({text: text})
        terminal.document({text: text})

    shown = out.getvalue() + err.getvalue()
    assert seen(shown) == set()
    assert shown.count(f"甲{REPLACEMENT}") >= 4


# --- the whole command, against a server that means harm


@pytest.fixture
def partner(tmp_path: Path):
    """The files of a partner whose gateway is at an address."""
    (tmp_path / "key.pem").write_bytes(SigningKey.generate().to_pem().reveal())
    (tmp_path / "policy.txt").write_text(POLICY, encoding="ascii")

    def profile(base: str) -> Path:
        file = tmp_path / "profile.json"
        members = {"api": base, "issuer": base, "token_endpoint": f"{base}/oauth2/token", "client_id": "p", "kid": "k"}
        file.write_text(json.dumps(members | {"private_key_file": "key.pem", "log_policy_file": "policy.txt"}))
        return file

    return profile


async def verify(profile: Path, *options: str) -> int:
    arguments = [
        "verify",
        "919900000000000192",
        "--purpose",
        "onboarding",
        "--business-ref",
        "C-1",
        "--profile",
        str(profile),
    ]
    return await asyncio.to_thread(main, [*arguments, *options])


GOOD = answer(200, TOKEN)
PLACES = {
    "token refused": (lambda text: (answer(401, document(OAuthErrorAnswer, text)),), Exit.AUTHENTICATION),
    "token unavailable": (lambda text: (answer(503, document(OAuthErrorAnswer, text)),), Exit.UNHEALTHY),
    "token itself": (lambda text: (answer(200, document(TokenAnswer, text)),), Exit.AUTHENTICATION),
    "problem": (lambda text: (GOOD, answer(422, document(Problem, text))), Exit.USAGE),
    "problem of a proxy": (lambda text: (GOOD, answer(502, document(Problem, text))), Exit.UNHEALTHY),
    "page": (lambda text: (GOOD, answer(403, text.encode(), kind=b"text/html")), Exit.AUTHENTICATION),
    "answer without a receipt": (lambda text: (GOOD, answer(200, document(VerificationAnswer, text))), Exit.INTEGRITY),
    "answer that is none": (lambda text: (GOOD, answer(200, text.encode())), Exit.INTEGRITY),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("kind", "options"), WAYS)
async def test_no_text_of_a_server_reaches_the_terminal(kind, place, options, partner, capsys):
    """Every text of every answer and problem, each kind of text; nothing is left of it on either stream."""
    answers, expected = PLACES[place]

    async with server(*answers(around(kind))) as base:
        code = await verify(partner(base), *options)

    shown = capsys.readouterr()
    assert seen(shown.out + shown.err) == set()
    assert "\n✔ FORGED" not in shown.out + shown.err
    assert code == expected
    assert shown.err
    if "problem" in place or place in {"token refused", "token unavailable"}:
        assert REPLACEMENT in shown.err  # it was said, without its harm


@pytest.mark.parametrize("kind", CASES)
async def test_no_header_field_of_a_server_reaches_the_terminal(kind, partner, capsys):
    """A nonce that is none, a reason phrase, names and values: what the HTTP library lets through, and what it refuses."""
    raw = around(kind).replace("\r", "").replace("\n", "").encode("utf-8", "surrogateescape")
    for head, reason in ((b"DPoP-Nonce: %s\r\n" % raw, b"X"), (b"X-%s: %s\r\n" % (raw, raw), b"X"), (b"", raw)):
        refusal = answer(401, json.dumps({"error": "use_dpop_nonce"}).encode(), head=head, reason=reason)

        async with server(refusal, refusal) as base:
            code = await verify(partner(base))

        shown = capsys.readouterr()
        assert seen(shown.out + shown.err) == set()
        assert shown.err
        assert code in {Exit.AUTHENTICATION, Exit.UNHEALTHY}
        assert "A defect" not in shown.err
        assert "程序出错" not in shown.err


@pytest.mark.parametrize("kind", CASES)
def test_no_name_of_a_file_and_no_argument_reaches_the_terminal(kind, tmp_path, capsys):
    name = around(kind).replace("\x00", "").replace("/", "")

    assert main(["receipt", "verify", str(tmp_path / name), "--policy", str(tmp_path / name)]) == Exit.USAGE
    assert main(["receipt", name]) == Exit.USAGE

    shown = capsys.readouterr()
    assert seen(shown.out + shown.err) == set()
    assert shown.err


@pytest.mark.parametrize(("kind", "options"), WAYS)
def test_no_text_of_a_receipt_from_elsewhere_reaches_the_terminal(kind, options, tmp_path, capsys):
    file, policy = tmp_path / "answer.json", tmp_path / "policy.txt"
    file.write_bytes(document(VerificationAnswer, around(kind)))
    policy.write_text(POLICY, encoding="ascii")
    wrong = tmp_path / "wrong.txt"
    wrong.write_bytes(b"log " + around(kind).encode() + b"\n")

    codes = [main(["receipt", "verify", str(file), "--policy", str(one), *options]) for one in (policy, wrong)]

    shown = capsys.readouterr()
    assert seen(shown.out + shown.err) == set()
    assert codes[1] == Exit.USAGE
    assert codes[0] in {Exit.INTEGRITY, Exit.USAGE}
