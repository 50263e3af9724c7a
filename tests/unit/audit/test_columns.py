"""The columns beside a stored leaf: every one of them follows from the leaf."""

from __future__ import annotations

import pytest

from gateway.audit.columns import EntryColumns, columns_of
from gateway.audit.entry import BlindIndexer, LeafFields, LeafKind
from gateway.base.secret import Secret


def make_fields(**changes):
    members = {"decision": "allow:clear", "gw": "gw", "log": "l", "n": 1, "op": "verification.create", "status": 200}
    return LeafFields(**(members | {"kind": LeafKind.QUERY, "ts": "2026-11-22T08:00:00.000Z"} | changes))


def test_the_columns_of_an_answer():
    index = BlindIndexer(Secret(bytes(32)), 3).index("919900000000000192")

    columns = columns_of(make_fields(partner="prt_1", purpose="risk", id="ver_1", sub_bi=str(index)))

    assert columns == EntryColumns(
        kind="query",
        operation="verification.create",
        decision="allow:clear",
        partner_id="prt_1",
        purpose="risk",
        subject_index=index.digest,
        verification_id="ver_1",
    )


@pytest.mark.parametrize("kind", [kind for kind in LeafKind if kind is not LeafKind.QUERY])
def test_only_the_answer_is_found_by_its_id(kind):
    """The leaf of a reading names the verification too, and is never found in its place."""
    assert columns_of(make_fields(id="ver_1", kind=kind)).verification_id is None


@pytest.mark.parametrize("index", ["1.zz", "1", "1.abc"])
def test_a_blind_index_that_no_host_writes_has_no_column(index):
    assert columns_of(make_fields(sub_bi=index)).subject_index == b""
