import hashlib
import hmac
import json
from pathlib import Path

import pytest

from gateway.audit.entry import (
    BlindIndexer,
    Committed,
    LeafError,
    LeafFields,
    LeafKind,
    commit,
    decode_leaf,
    encode_leaf,
    open_key,
    opens,
    seal,
)
from gateway.audit.merkle import leaf_hash
from gateway.audit.receipt import HANDED_OUT
from gateway.base.canonical import canonical_json
from gateway.base.codec import b64url
from gateway.base.crypto import derive_key
from gateway.base.secret import Secret

GOLDEN = json.loads((Path(__file__).parents[2] / "vectors" / "audit" / "golden.json").read_text("utf-8"))
SALT = bytes.fromhex(GOLDEN["salt"])


def make_fields(**changes):
    required = {"decision": "allow", "gw": "gw-1", "log": "log.example/1", "n": 1, "op": "verifications.create"}
    return LeafFields(
        **(required | {"status": 200, "kind": LeafKind.QUERY, "ts": "2026-11-22T08:00:00.000Z"} | changes)
    )


def test_golden_leaf():
    members = dict(GOLDEN["fields"])
    fields = LeafFields(kind=LeafKind(members.pop("t")), **members)

    leaf = encode_leaf(fields)

    assert leaf.decode() == GOLDEN["leaf"]
    assert leaf_hash(leaf).hex() == GOLDEN["leaf_hash"]
    assert decode_leaf(leaf) == fields


@pytest.mark.parametrize("name", HANDED_OUT)
def test_golden_commitments_are_hmacs_under_hkdf_keys(name):
    """Derived here with nothing but the standard library, as another implementation would."""
    values = {
        Committed.ANS: canonical_json(GOLDEN["answer"]),
        Committed.ARGS: canonical_json(GOLDEN["args"]),
        Committed.SUB: GOLDEN["subject"].encode(),
    }
    info = f"credit-gateway/v1/commitment/{name}".encode()
    key = hmac.new(SALT, info + b"\x01", hashlib.sha256).digest()
    commitment = b64url(hmac.new(key, values[name], hashlib.sha256).digest())

    sealed = seal(SALT, name, values[name])

    assert sealed == (commitment, key)
    assert (GOLDEN["open_keys"][name], GOLDEN["fields"][f"{name}_c"]) == (key.hex(), commitment)
    assert open_key(SALT, name) == derive_key(SALT, f"credit-gateway/v1/commitment/{name}")


def test_golden_leaf_under_an_idempotency_key():
    """It commits to the SHA-256 of the key, in one more member; derived here with the standard library."""
    golden = GOLDEN["under_idempotency_key"]
    key = hmac.new(SALT, b"credit-gateway/v1/commitment/idem\x01", hashlib.sha256).digest()
    digest = hashlib.sha256(golden["idempotency_key"].encode()).digest()

    sealed = seal(SALT, Committed.IDEM, digest)
    members = dict(GOLDEN["fields"])
    leaf = encode_leaf(LeafFields(kind=LeafKind(members.pop("t")), idem_c=sealed.commitment, **members))

    assert sealed == (b64url(hmac.new(key, digest, hashlib.sha256).digest()), bytes.fromhex(golden["open_key"]))
    assert (sealed.commitment, leaf.decode(), leaf_hash(leaf).hex()) == (
        golden["idem_c"],
        golden["leaf"],
        golden["leaf_hash"],
    )


def test_a_commitment_opens_to_its_value_under_its_key_alone():
    sealed = seal(SALT, Committed.ANS, b"value")

    assert opens(sealed.commitment, sealed.key, b"value")
    assert not opens(sealed.commitment, sealed.key, b"valuf")
    assert not opens(sealed.commitment, open_key(SALT, Committed.ARGS), b"value")
    assert not opens(sealed.commitment, open_key(bytes(32), Committed.ANS), b"value")
    assert commit(sealed.key, b"value") == sealed.commitment


def test_absent_members_are_left_out_and_the_version_never_is():
    assert encode_leaf(make_fields()) == (
        b'{"decision":"allow","gw":"gw-1","log":"log.example/1","n":1,"op":"verifications.create","status":200,'
        b'"t":"query","ts":"2026-11-22T08:00:00.000Z","v":1}'
    )


def test_text_that_is_not_ascii_makes_no_leaf():
    with pytest.raises(LeafError, match="leaf_not_publishable"):
        encode_leaf(make_fields(purpose="尽职调查"))


def test_a_leaf_too_long_for_an_entry_bundle_is_refused():
    assert len(encode_leaf(make_fields(purpose="x" * 65_000))) <= 65_535
    with pytest.raises(LeafError, match="leaf_not_publishable"):
        encode_leaf(make_fields(purpose="x" * 65_535))


def leaf_mutations():
    good = encode_leaf(make_fields(purpose="risk"))
    yield "empty", b""
    yield "not an object", b"[]"
    yield "cut", good[:-1]
    yield "trailing newline", good + b"\n"
    yield "space", good.replace(b'"n":1', b'"n": 1')
    yield "version 2", good.replace(b'"v":1', b'"v":2')
    yield "version as text", good.replace(b'"v":1', b'"v":"1"')
    yield "no version", good.replace(b',"v":1', b"")
    yield "true for one", good.replace(b'"n":1', b'"n":true')
    yield "float", good.replace(b'"n":1', b'"n":1.0')
    yield "exponent", good.replace(b'"n":1', b'"n":1e0')
    yield "minus", good.replace(b'"n":1', b'"n":-1')
    yield "huge", good.replace(b'"n":1', b'"n":9999999999999999999')
    yield "unknown kind", good.replace(b'"query"', b'"quary"')
    yield "unknown member", good.replace(b'"n":1', b'"m":1,"n":1')
    yield "missing member", good.replace(b'"gw":"gw-1",', b"")
    yield "duplicate member", good.replace(b'"n":1', b'"n":1,"n":1')
    yield "other order", b'{"v":1,' + good[1:].replace(b',"v":1', b"")
    yield "null for absent", good.replace(b'"purpose":"risk"', b'"purpose":null')
    yield "needless escape", good.replace(b"risk", b"ri\\u0073k")
    yield "escaped slash", good.replace(b"log.example/1", b"log.example\\/1")
    yield "not ascii", good.replace(b"risk", "风险".encode())
    yield "not utf-8", good.replace(b"risk", b"\xff")
    yield "nested", good.replace(b'"risk"', b'["risk"]')
    yield "too long", good.replace(b"risk", b"x" * 70_000)


def test_no_second_spelling_of_a_leaf_gets_through():
    got_through = []
    for name, leaf in leaf_mutations():
        try:
            decode_leaf(leaf)
            got_through.append(name)
        except LeafError:
            pass

    assert got_through == []


def test_golden_blind_index():
    indexer = BlindIndexer(Secret(bytes.fromhex(GOLDEN["blind_secret"])), GOLDEN["blind_epoch"])
    info = b"credit-gateway/v1/blind-index/3\x01"
    epoch_key = hmac.new(bytes.fromhex(GOLDEN["blind_secret"]), info, hashlib.sha256).digest()
    digest = hmac.new(epoch_key, GOLDEN["subject"].encode(), hashlib.sha256).digest()[:16]

    index = indexer.index(GOLDEN["subject"])

    assert (index.digest, str(index)) == (digest, f"3.{digest.hex()}")
    assert GOLDEN["fields"]["sub_bi"] == str(index)


def test_epochs_are_unlinkable_without_their_keys():
    secret = Secret(bytes(32))

    assert BlindIndexer(secret, 1).index("A").digest != BlindIndexer(secret, 2).index("A").digest
