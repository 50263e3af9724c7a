"""The leaf of one entry: its bytes, its commitments, its blind index.

For: the exact bytes that the log hashes; the keys that open one commitment at a time; reading a leaf back.
Not for: the order of leaves (``committer``), the receipt around a leaf (``receipt``).
Source: canonical JSON (RFC 8785) of strings and integers, ASCII only; HMAC-SHA-256 commitments keyed from one 32-byte
salt an entry by HKDF-Expand (RFC 5869 section 2.3). Never a plain hash of a code: the space of codes can be searched.

Who erases the salt makes the commitments noise; the leaf, and every proof over it, stays.
"""

from __future__ import annotations

import hmac
from enum import StrEnum
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from gateway.base.canonical import JsonError, parse_json_object
from gateway.base.codec import b64url_32
from gateway.base.crypto import derive_key, hmac_sha256
from gateway.base.secret import Secret

LEAF_VERSION: Final = 1
MAX_LEAF_BYTES: Final = 65_535
"""An entry bundle prefixes each leaf with 16 bits of length (c2sp.org/tlog-tiles)."""
SALT_BYTES: Final = 32
BLIND_INDEX_BYTES: Final = 16
MAX_SUBJECTS: Final = 10_000
"""A batch is one leaf over at most this many items."""
MAX_STATUS: Final = 599
"""HTTP status, or 0 for what no request asked for."""

COMMITMENT_LABEL: Final = "credit-gateway/v1/commitment/"
_BLIND_LABEL: Final = "credit-gateway/v1/blind-index/"


class LeafError(ValueError):
    """Bytes are not a leaf of ours, or fields do not make one; ``args[0]`` is a short machine word."""


class LeafKind(StrEnum):
    """What an entry records."""

    QUERY = "query"
    READ = "read"
    DENY = "deny"
    TOKEN = "token"  # noqa: S105 - an event, not a secret
    KEY = "key"
    PARTNER = "partner"
    CONFIG = "config"
    ERASURE = "erasure"
    FEED = "feed"


class Committed(StrEnum):
    """What a leaf may commit to without saying it."""

    ANS = "ans"
    ARGS = "args"
    IDEM = "idem"
    SUB = "sub"


def _version() -> Literal[1]:
    return 1


# Fields stand in the order of their member names, which is the order RFC 8785 asks for. ``v`` has a factory instead
# of a plain default because msgspec leaves out what equals its default, and a leaf always says its version.
class LeafFields(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The members of a leaf; absent ones are left out. All strings are ASCII.

    ``assert_id`` and ``req_id`` (32 hex digits) are the one-time ids of the client assertion and of the proof of possession that this
    leaf's own commit claimed: an id is claimed if and only if a leaf names it, and no two leaves name the same. ``decision`` is
    ``allow`` or ``deny:<reason>``; ``gw`` the gateway host; ``id`` the verification; ``n`` how many subjects were asked about;
    ``req_h`` (64 hex digits) the hash of the signed request; ``sub_bi`` a blind index; ``ts`` the instant in RFC 3339; the members
    ending in ``_c`` are commitments (43 characters of base64url): to the answer, to what was asked or done, to the SHA-256 of the
    ``Idempotency-Key`` it was asked under, to the subject's code. A leaf about a partner's key names the key in ``cred``, like a
    leaf of what was done with it.
    """

    ans_c: str | None = None
    args_c: str | None = None
    assert_id: str | None = None
    cred: str | None = None
    decision: str
    gw: str
    id: str | None = None
    idem_c: str | None = None
    log: str
    n: Annotated[int, msgspec.Meta(ge=0, le=MAX_SUBJECTS)]
    op: str
    partner: str | None = None
    purpose: str | None = None
    req_h: str | None = None
    req_id: str | None = None
    status: Annotated[int, msgspec.Meta(ge=0, le=MAX_STATUS)]
    sub_bi: str | None = None
    sub_c: str | None = None
    kind: LeafKind = msgspec.field(name="t")
    ts: str
    v: Literal[1] = msgspec.field(default_factory=_version)


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(LeafFields)


def encode_leaf(fields: LeafFields) -> bytes:
    """Return the bytes that the log hashes. HOT.

    ``LeafError`` for text that is not ASCII or a leaf too long to publish.
    """
    leaf = _ENCODER.encode(fields)
    if not leaf.isascii() or len(leaf) > MAX_LEAF_BYTES:
        raise LeafError("leaf_not_publishable")
    return leaf


def decode_leaf(leaf: bytes) -> LeafFields:
    """Read a leaf; ``LeafError`` unless it is exactly what ``encode_leaf`` writes for the same fields."""
    if len(leaf) > MAX_LEAF_BYTES or not leaf.isascii():
        raise LeafError("leaf_form")
    try:
        parse_json_object(leaf, max_depth=1)  # duplicate members and numbers out of range are decided in one place
        fields = _DECODER.decode(leaf)
    except (JsonError, msgspec.DecodeError) as exc:
        raise LeafError("leaf_form") from exc
    # A second spelling of the same members would be a second leaf for one event.
    if _ENCODER.encode(fields) != leaf:
        raise LeafError("leaf_not_canonical")
    return fields


class Sealed(NamedTuple):
    """One committed value: the commitment that goes into the leaf and the key that opens it."""

    commitment: str
    key: bytes


# ``derive_key(salt, COMMITMENT_LABEL + name)`` with its label put together once: six HMACs are most of what a leaf
# costs.
_OPEN_INFO: Final = {name: f"{COMMITMENT_LABEL}{name}".encode("ascii") + b"\x01" for name in Committed}


def open_key(salt: bytes, name: Committed) -> bytes:
    """Return the 32-byte key that opens one commitment of an entry; it opens none of the entry's other commitments."""
    return hmac.digest(salt, _OPEN_INFO[name], "sha256")


def commit(key: bytes, value: bytes) -> str:
    """Return the commitment to a value under its opening key: 43 characters of base64url."""
    return b64url_32(hmac.digest(key, value, "sha256"))


def seal(salt: bytes, name: Committed, value: bytes) -> Sealed:
    """Commit to a value under the salt (32 random bytes) of its entry. HOT: two HMACs."""
    key = open_key(salt, name)
    return Sealed(commit(key, value), key)


def opens(commitment: str, key: bytes, value: bytes) -> bool:
    """Tell whether a commitment opens to a value under a key."""
    return hmac.compare_digest(commit(key, value).encode(), commitment.encode())


class BlindIndex(msgspec.Struct, frozen=True):
    """The searchable pseudonym of a subject in one epoch. ``digest`` is 16 bytes."""

    epoch: int
    digest: bytes

    def __str__(self) -> str:
        return f"{self.epoch}.{self.digest.hex()}"


class BlindIndexer:
    """Makes blind indexes with the key of one epoch. Who destroys an epoch's key ends every search by subject in it."""

    __slots__ = ("_epoch", "_key")

    def __init__(self, secret: Secret, epoch: int) -> None:
        self._epoch: Final = epoch
        self._key: Final = Secret(derive_key(secret.reveal(), f"{_BLIND_LABEL}{epoch}"))

    def index(self, subject: str) -> BlindIndex:
        """Return the blind index of a normalised subject code."""
        return BlindIndex(self._epoch, hmac_sha256(self._key.reveal(), subject.encode())[:BLIND_INDEX_BYTES])
