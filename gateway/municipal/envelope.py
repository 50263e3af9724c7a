"""The signed envelope around every document of the feed, and the register of platform keys.

For: bytes of a stranger to a payload that a registered key signed. Not for: what the payload says (``manifest``).
Source: DSSE v1 (github.com/secure-systems-lab/dsse, protocol.md and envelope.md). The signature covers the payload's type and its
exact bytes, so nothing has to be canonical, and a document of another kind cannot be passed off as one of ours.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gateway.base.canonical import Json, JsonError, canonical_json, parse_json_object
from gateway.base.codec import b64, parse_b64
from gateway.base.crypto import BadSignature, Ed25519Signer, check_ed25519_public, verify_ed25519
from gateway.credit.feed_version import FeedReason, FeedRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

PAYLOAD_TYPE: Final = "application/vnd.credit-gateway.feed-manifest+json"
MAX_ENVELOPE_BYTES: Final = 64 * 1024
"""A manifest has under 1 kB."""
MAX_SIGNATURES: Final = 8
"""One for each key during a rotation; more are only work for us."""

_KEYID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


class PlatformKeys:
    """The keys whose word is taken, by key id. Built by ``parse_platform_keys``; never empty: no key means no trust."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            msg = "no platform key"
            raise ValueError(msg)
        self._keys: Final = dict(keys)

    def find(self, keyid: str) -> bytes | None:
        """Return the 32 bytes of a registered key."""
        return self._keys.get(keyid)


def parse_platform_keys(text: str) -> PlatformKeys:
    """Read lines of ``keyid base64-public-key``; ``#`` begins a comment.

    ``ValueError`` names the first bad line: an unreadable or forbidden key, a repeated id, or no key at all.
    """
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            keyid, encoded = words
            public = parse_b64(encoded)
            check_ed25519_public(public)
        except ValueError as exc:
            msg = f"line {number}: expected a key id and a base64 Ed25519 public key"
            raise ValueError(msg) from exc
        if _KEYID.fullmatch(keyid) is None or keyid in keys:
            msg = f"line {number}: key id malformed or repeated"
            raise ValueError(msg)
        keys[keyid] = public
    return PlatformKeys(keys)


def open_envelope(raw: bytes, keys: PlatformKeys) -> bytes:
    """Return the payload that a registered key signed; ``FeedRefused`` otherwise.

    A signature under a registered id that does not verify refuses the whole envelope; unknown ids beside a good one are
    ignored, so that a platform can sign with its next key before we register it.
    """
    payload_type, payload, signatures = _read_envelope(raw)
    if not signatures:
        raise FeedRefused(FeedReason.SIGNATURE_MISSING)
    message = pae(payload_type, payload)
    verified = False
    for keyid, signature in signatures:
        public = keys.find(keyid)
        if public is None:
            continue
        try:
            verify_ed25519(public, signature, message)
        except BadSignature as exc:
            raise FeedRefused(FeedReason.SIGNATURE_WRONG) from exc
        verified = True
    if not verified:
        raise FeedRefused(FeedReason.KEY_UNKNOWN)
    return payload


def seal_envelope(payload: bytes, keyid: str, signer: Ed25519Signer) -> bytes:
    """Return the envelope of a payload, as a platform makes it."""
    signature = signer.sign(pae(PAYLOAD_TYPE, payload))
    members = {
        "payloadType": PAYLOAD_TYPE,
        "payload": b64(payload),
        "signatures": [{"keyid": keyid, "sig": b64(signature)}],
    }
    return canonical_json(members)


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding of DSSE v1: what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _read_envelope(raw: bytes) -> tuple[str, bytes, list[tuple[str, bytes]]]:
    if len(raw) > MAX_ENVELOPE_BYTES:
        raise FeedRefused(FeedReason.DOCUMENT_TOO_LARGE)
    try:
        members = parse_json_object(raw, max_depth=4)
        payload_type, payload, signatures = members["payloadType"], members["payload"], members["signatures"]
        if payload_type != PAYLOAD_TYPE or not isinstance(payload, str) or not isinstance(signatures, list):
            raise FeedRefused(FeedReason.NOT_AN_ENVELOPE, "members")
        if len(signatures) > MAX_SIGNATURES:
            raise FeedRefused(FeedReason.NOT_AN_ENVELOPE, "signatures")
        return PAYLOAD_TYPE, parse_b64(payload), [_read_signature(entry) for entry in signatures]
    except (JsonError, KeyError, ValueError) as exc:
        raise FeedRefused(FeedReason.NOT_AN_ENVELOPE) from exc


def _read_signature(entry: Json) -> tuple[str, bytes]:
    if not isinstance(entry, dict):
        raise FeedRefused(FeedReason.NOT_AN_ENVELOPE, "signature")
    keyid, sig = entry.get("keyid"), entry.get("sig")
    if not isinstance(keyid, str) or not isinstance(sig, str):
        raise FeedRefused(FeedReason.NOT_AN_ENVELOPE, "signature")
    return keyid, parse_b64(sig)
