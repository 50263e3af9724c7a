"""What the log says about partners and keys, against what their rows say: every column, every order of acts."""

from __future__ import annotations

import pytest

from gateway.audit.entry import LeafFields, LeafKind
from gateway.base.clock import Millis
from gateway.identity.partner import KeyPurpose, KeyState, Partner, PartnerState, RegisteredKey, revoke_key
from gateway.identity.signing_key import SigningKey
from gateway.postgres.queries import Queries
from gateway.verification.registrations import (
    KEY_COLUMNS,
    PARTNER_COLUMNS,
    Act,
    Contradiction,
    SaidLeaf,
    Wrong,
    key_contradictions,
    key_row,
    partner_contradictions,
    partner_row,
)

PARTNER = Partner(
    partner_id="prt_1",
    client_id="client-one",
    name="某平台",
    sector="network_freight",
    scopes=frozenset({"verifications"}),
    purposes=frozenset({"risk", "onboarding"}),
    state=PartnerState.ACTIVE,
)
KEY = RegisteredKey(
    kid="first",
    key=SigningKey.generate().public,
    purpose=KeyPurpose.CLIENT_AUTH,
    state=KeyState.ACTIVE,
    not_before_ms=Millis(5),
    created_ms=Millis(5),
)
RETIRED = revoke_key(KEY, now=Millis(9), compromised=False)
COMPROMISED = revoke_key(RETIRED, now=Millis(11), compromised=True)
ROW = key_row(KEY, "prt_1")
KIND = {Act.PARTNER_ADD: LeafKind.PARTNER, Act.KEY_ADD: LeafKind.KEY, Act.KEY_REVOKE: LeafKind.KEY}


def make_leaf(index, act, said, **changes):
    members = {
        "cred": None if said is None or act is Act.PARTNER_ADD else said["thumbprint"],
        "partner": None if said is None else said["partner_id"],
        "op": str(act),
        "kind": KIND.get(act, LeafKind.KEY),
    }
    required = {"decision": "allow", "gw": "gw", "log": "l", "n": 0, "status": 200, "ts": "t"}
    return SaidLeaf(leaf_index=index, fields=LeafFields(**(required | members | changes)), said=said)


ADDED = make_leaf(1, Act.KEY_ADD, ROW)
BROUGHT_ON = make_leaf(0, Act.PARTNER_ADD, partner_row(PARTNER))


def revoked(index, key):
    return make_leaf(index, Act.KEY_REVOKE, key_row(key, "prt_1"))


def test_rows_have_every_column_that_decides_anything():
    """What the look-up of the token endpoint reads of both tables is compared, each column of it."""
    assert set(partner_row(PARTNER)) == set(PARTNER_COLUMNS)
    assert set(ROW) == set(KEY_COLUMNS)
    named = {"key_purpose": "purpose", "key_state": "state", "key_created_ms": "created_ms"}
    find_client = Queries.load("identity")["find_client"].partition("SELECT")[2].partition("FROM")[0]
    read = [part.split()[-1].split(".")[-1] for part in find_client.replace("\n", " ").split(",")]
    assert {named.get(column, column) for column in read} == set(PARTNER_COLUMNS) | set(KEY_COLUMNS)


@pytest.mark.parametrize(
    ("key", "acts"),
    [
        (KEY, [ADDED]),
        (RETIRED, [ADDED, revoked(2, RETIRED)]),
        (COMPROMISED, [ADDED, revoked(2, RETIRED), revoked(3, COMPROMISED)]),
    ],
    ids=["active", "retired", "compromised"],
)
def test_the_row_that_the_leaves_make(key, acts):
    other = key_row(RegisteredKey(**{**_fields(KEY), "key": SigningKey.generate().public}), "prt_1")

    assert key_contradictions(key_row(key, "prt_1"), [BROUGHT_ON, make_leaf(0, Act.KEY_ADD, other), *acts]) == []
    assert partner_contradictions(partner_row(PARTNER), [BROUGHT_ON, *acts]) == []


def _fields(key):
    return {name: getattr(key, name) for name in ("kid", "key", "purpose", "state", "not_before_ms", "created_ms")}


@pytest.mark.parametrize("column", KEY_COLUMNS)
def test_any_column_of_a_key(column):
    leaf = make_leaf(1, Act.KEY_ADD, ROW)
    row = ROW | {column: "other"}
    if column == "thumbprint":
        assert key_contradictions(row, [leaf]) == [Contradiction(Wrong.UNREGISTERED, None)]
        return

    assert key_contradictions(row, [leaf]) == [Contradiction(column, 1)]


@pytest.mark.parametrize("column", PARTNER_COLUMNS)
def test_any_column_of_a_partner(column):
    row = partner_row(PARTNER) | {column: "other"}
    expected = Contradiction(Wrong.UNREGISTERED, None) if column == "partner_id" else Contradiction(column, 0)

    assert partner_contradictions(row, [BROUGHT_ON]) == [expected]


def test_types_are_compared_too():
    """True is not 1, and an empty list is not absent."""
    assert key_contradictions(ROW | {"revoked_ms": False}, [ADDED]) == [Contradiction("revoked_ms", 1)]
    said = partner_row(PARTNER)
    del said["scopes"]
    leaf = make_leaf(0, Act.PARTNER_ADD, said)
    assert partner_contradictions(partner_row(PARTNER), [leaf]) == [Contradiction("scopes", 0)]


@pytest.mark.parametrize(
    ("acts", "expected"),
    [
        ([], Contradiction(Wrong.UNREGISTERED, None)),
        ([revoked(2, RETIRED)], Contradiction(Wrong.UNREGISTERED, 2)),
        ([ADDED, make_leaf(4, Act.KEY_ADD, ROW)], Contradiction(Wrong.REGISTERED_TWICE, 4)),
        ([ADDED, revoked(2, RETIRED), make_leaf(4, Act.KEY_ADD, ROW)], Contradiction(Wrong.REGISTERED_TWICE, 4)),
        ([ADDED, make_leaf(4, "key.bless", ROW)], Contradiction(Wrong.UNKNOWN_ACT, 4)),
        ([make_leaf(1, Act.KEY_ADD, None, cred=KEY.thumbprint)], Contradiction(Wrong.NOT_OPENED, 1)),
        ([make_leaf(1, Act.KEY_ADD, ROW, partner="prt_2")], Contradiction(Wrong.LEAF_INCOHERENT, 1)),
        ([make_leaf(1, Act.KEY_ADD, ROW, partner=None)], Contradiction(Wrong.LEAF_INCOHERENT, 1)),
        ([make_leaf(1, Act.KEY_ADD, ROW, kind=LeafKind.TOKEN)], Contradiction(Wrong.UNREGISTERED, None)),
    ],
    ids=[
        "none",
        "only-revoked",
        "twice",
        "comes-back",
        "unknown",
        "unopened",
        "other-partner",
        "no-partner",
        "other-kind",
    ],
)
def test_acts_that_make_no_living_key(acts, expected):
    assert key_contradictions(ROW, acts) == [expected]


@pytest.mark.parametrize("row", [KEY, COMPROMISED], ids=["alive", "compromised"])
def test_a_revoked_key_is_what_its_last_revocation_made_it(row):
    acts = [ADDED, revoked(2, RETIRED)]

    wrong = key_contradictions(key_row(row, "prt_1"), acts)

    assert {one.what for one in wrong} == {"state", "revoked_ms"}


def test_a_key_whose_row_is_dead_without_a_leaf_is_named_too():
    assert {one.what for one in key_contradictions(key_row(RETIRED, "prt_1"), [ADDED])} == {"state", "revoked_ms"}


def test_a_partner_brought_on_twice():
    again = make_leaf(5, Act.PARTNER_ADD, partner_row(PARTNER))

    assert partner_contradictions(partner_row(PARTNER), [BROUGHT_ON, again]) == [
        Contradiction(Wrong.REGISTERED_TWICE, 5)
    ]
    assert partner_contradictions(partner_row(PARTNER), [make_leaf(0, Act.PARTNER_ADD, None, partner="prt_1")]) == [
        Contradiction(Wrong.NOT_OPENED, 0)
    ]
