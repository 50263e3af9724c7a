"""Opening what stands beside a leaf: only what the leaf commits to, under its own salt, at its own place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.audit import entry as leaves
from gateway.audit.entry import LeafFields, LeafKind, encode_leaf
from gateway.audit.merkle import leaf_hash
from gateway.audit.plaintext import seal_plaintext
from gateway.base.sealing import Sealer
from gateway.base.secret import Secret
from gateway.verification.opened import Erased, NotCommitted, Opened, open_leaf
from gateway.verification.ports import StoredSecret

SEALER = Sealer({1: Secret(bytes(32)), 2: Secret(bytes(range(32)))}, current=1)
SALT = bytes(32)
ANSWER, ARGS = b'{"outcome":"clear"}', b'{"purpose":"risk"}'


def make_fields(ans=ANSWER, args=ARGS, **changes):
    commitments = {
        "ans_c": None if ans is None else leaves.seal(SALT, leaves.Committed.ANS, ans).commitment,
        "args_c": None if args is None else leaves.seal(SALT, leaves.Committed.ARGS, args).commitment,
    }
    members = {"decision": "allow:clear", "gw": "gw", "log": "l", "n": 1, "op": "verification.create", "status": 200}
    kind = {"kind": LeafKind.QUERY, "ts": "2026-11-22T08:00:00.000Z"}
    return LeafFields(**(commitments | members | kind | changes))


def make_secret(fields, plaintext, **changes):
    sealed = seal_plaintext(SEALER, plaintext, leaf_hash(encode_leaf(fields)), SALT)
    return replace(StoredSecret(salt=SALT, key_id=1, sealed=sealed), **changes)


def both(ans=ANSWER, args=ARGS):
    return b'{"ans":' + ans + b',"args":' + args + b"}"


def test_what_the_leaf_commits_to_opens():
    fields = make_fields()

    assert open_leaf(encode_leaf(fields), fields, make_secret(fields, both()), SEALER) == Opened(ANSWER, ARGS)


def test_an_act_that_answers_nothing_opens():
    fields = make_fields(ans=None)

    opened = open_leaf(encode_leaf(fields), fields, make_secret(fields, both(ans=b"null")), SEALER)

    assert opened == Opened(b"null", ARGS)


@pytest.mark.parametrize(
    ("fields", "plaintext", "changes", "column"),
    [
        (make_fields(), both(ans=b'{"outcome":"restricted"}'), {}, "sealed"),
        (make_fields(), both(args=b'{"purpose":"onboarding"}'), {}, "sealed"),
        (make_fields(), both(), {"salt": bytes(31) + b"\1"}, "sealed"),
        (make_fields(), both(), {"key_id": 2}, "sealed"),
        (make_fields(), both(), {"sealed": b""}, "sealed"),
        (make_fields(), both(), {"sealed": bytes(64)}, "sealed"),
        (make_fields(), b'{"ans":null}', {}, "sealed"),
        (make_fields(), b'{"ans":1,"ans":2,"args":3}', {}, "sealed"),
        (make_fields(), b'{"ans":1,"args":2,"more":3}', {}, "sealed"),
        (make_fields(), b"[]", {}, "sealed"),
        (make_fields(), b"\xff", {}, "sealed"),
        (make_fields(ans=None), both(), {}, "ans"),
        (make_fields(args=None), both(), {}, "args"),
    ],
)
def test_anything_else_is_not_what_was_committed_to(fields, plaintext, changes, column):
    """Even under our own sealing key: a text, a salt or a member that the leaf does not bear out."""
    with pytest.raises(NotCommitted) as found:
        open_leaf(encode_leaf(fields), fields, make_secret(fields, plaintext, **changes), SEALER)

    assert found.value.column == column


def test_a_text_opens_at_its_own_leaf_alone():
    fields, other = make_fields(), make_fields(purpose="risk")

    with pytest.raises(NotCommitted):
        open_leaf(encode_leaf(other), other, make_secret(fields, both()), SEALER)


@pytest.mark.parametrize("missing", ["secret", "key"])
def test_what_is_gone_is_erased(missing):
    fields = make_fields()
    secret = None if missing == "secret" else make_secret(fields, both(), key_id=9)

    with pytest.raises(Erased):
        open_leaf(encode_leaf(fields), fields, secret, SEALER)
