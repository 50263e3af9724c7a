"""Head and manifest: what is signed is understood whole, or refused."""

import dataclasses
import json
from pathlib import Path

import pytest

from gateway.base.canonical import canonical_json
from gateway.base.crypto import Ed25519Signer, sha256
from gateway.base.secret import Secret
from gateway.credit.feed_version import FeedRefused, VersionKind
from gateway.municipal.envelope import PlatformKeys, seal_envelope
from gateway.municipal.manifest import render_head, render_manifest, verify_head, verify_manifest
from gateway.municipal.schemas import feed_schemas
from tests.fakes.municipal import FEED, make_head, make_manifest

SIGNER = Ed25519Signer(Secret(b"\x01" * 32))
KEYS = PlatformKeys({"k1": SIGNER.public})
SCHEMAS = Path(__file__).parents[3] / "schemas" / "feed"
HEAD = json.loads(render_head(make_head()))
MANIFEST = json.loads(render_manifest(make_manifest()))


def sealed(members):
    return seal_envelope(canonical_json(members), "k1", SIGNER)


def test_a_head_comes_back_as_it_was_signed():
    assert verify_head(sealed(HEAD), KEYS, FEED) == make_head()


def test_a_manifest_comes_back_as_it_was_signed_with_the_digest_of_its_payload():
    read = verify_manifest(sealed(MANIFEST), KEYS, FEED)

    assert read == dataclasses.replace(make_manifest(), digest=sha256(canonical_json(MANIFEST)))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"v": 2}, "document_malformed"),
        ({"kind": "delta"}, "document_malformed"),
        ({"feed": "other-city"}, "wrong_feed"),
        ({"version": 0}, "document_malformed"),
        ({"version": 2**53}, "document_malformed"),
        ({"version": "4"}, "document_malformed"),
        ({"version": True}, "document_malformed"),
        ({"snapshot": 5}, "document_malformed"),
        ({"snapshot": 4}, "document_malformed"),
        ({"manifest_sha256": "0" * 63}, "document_malformed"),
        ({"manifest_sha256": "0" * 64 + "\n"}, "document_malformed"),
        ({"manifest_sha256": "A" * 64}, "document_malformed"),
        ({"issued_at": "2026-11-22T08:00:00"}, "document_malformed"),
        ({"issued_at": "yesterday"}, "document_malformed"),
        ({"surprise": 1}, "document_malformed"),
    ],
)
def test_a_head_that_is_not_understood_whole_is_refused(changes, reason):
    with pytest.raises(FeedRefused) as refused:
        verify_head(sealed({**HEAD, **changes}), KEYS, FEED)

    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "head"}, "document_malformed"),
        ({"feed": "other-city"}, "wrong_feed"),
        ({"predecessor": None}, "document_malformed"),
        ({"predecessor_sha256": None}, "document_malformed"),
        ({"predecessor": 2}, "version_gap"),
        ({"predecessor": 4}, "version_gap"),
        ({"version": 1, "predecessor": 1}, "document_malformed"),
        ({"version": 1, "predecessor": None, "predecessor_sha256": None}, "no_snapshot"),
        ({"counts": {**MANIFEST["counts"], "lines": 3}}, "count_differs"),
        ({"counts": {**MANIFEST["counts"], "kinds": {"penalty": 1}}}, "count_differs"),
        ({"counts": {**MANIFEST["counts"], "puts": -1}}, "document_malformed"),
        ({"kind": "snapshot", "counts": {**MANIFEST["counts"], "puts": 1, "deletes": 1}}, "document_malformed"),
        ({"file": {**MANIFEST["file"], "name": "../../etc/passwd"}}, "document_malformed"),
        ({"file": {**MANIFEST["file"], "name": "4.ndjson.gz\n"}}, "document_malformed"),
        ({"file": {**MANIFEST["file"], "bytes": 5 * 1024**3}}, "document_malformed"),
        ({"file": {**MANIFEST["file"], "bytes": 1e3}}, "document_malformed"),
        ({"file": {**MANIFEST["file"], "uncompressed_bytes": 2**60}}, "document_malformed"),
        ({"surprise": 1}, "document_malformed"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(changes, reason):
    payload = json.dumps({**MANIFEST, **changes}).encode()

    with pytest.raises(FeedRefused) as refused:
        verify_manifest(seal_envelope(payload, "k1", SIGNER), KEYS, FEED)

    assert refused.value.reason == reason


def test_a_head_cannot_be_passed_off_as_a_manifest_nor_the_other_way():
    with pytest.raises(FeedRefused):
        verify_manifest(sealed(HEAD), KEYS, FEED)
    with pytest.raises(FeedRefused):
        verify_head(sealed(MANIFEST), KEYS, FEED)


def test_the_first_version_of_all_is_a_snapshot_without_predecessor():
    first = make_manifest(kind=VersionKind.SNAPSHOT, version=1, predecessor=None, predecessor_digest=None)

    read = verify_manifest(seal_envelope(render_manifest(first), "k1", SIGNER), KEYS, FEED)

    assert (read.predecessor, read.predecessor_digest) == (None, None)


@pytest.mark.parametrize("name", sorted(feed_schemas()))
def test_the_published_schema_is_the_one_the_reader_has(name):
    """`schemas/feed/` is written from `gateway.municipal.schemas`; write it anew when this fails."""
    assert json.loads((SCHEMAS / name).read_text()) == feed_schemas()[name]
