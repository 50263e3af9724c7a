"""Signed notes: text signed by named keys, the envelope of checkpoints.

For: signing and opening notes; verifier keys ("vkeys") as text.
Not for: what the text says (``checkpoint``), whose keys are trusted (``policy``).
Source: c2sp.org/signed-note, with cosignatures of c2sp.org/tlog-cosignature (type 0x04). Stricter than the text in one
point: base64 must be canonical, so that one note has one spelling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from gateway.base.codec import b64, parse_b64
from gateway.base.crypto import BadSignature, Ed25519Signer, check_ed25519_public, sha256, verify_ed25519

MAX_NOTE_BYTES: Final = 131_072
"""Bounds the work on a stranger's note. 16 post-quantum signatures, which must be accepted, take 80 kB."""
MAX_SIGNATURES: Final = 64
"""The specification asks for at least 16."""

_PREFIX: Final = "\u2014 "
_KEY_ID_BYTES: Final = 4
_ED25519_BYTES: Final = 64
_TIME_BYTES: Final = 8
_MAX_COSIGNATURE_TIME: Final = 2**63 - 1
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_FORBIDDEN_IN_NAME: Final = re.compile(r"[\s+]")


class NoteError(ValueError):
    """A note, a signature on it or a verifier key is not acceptable; ``args[0]`` is a short machine word."""


class SignatureType(IntEnum):
    """The signature type byte of a key: part of its key id, so one key makes one type of statement."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


@dataclass(frozen=True, slots=True)
class UnverifiedSignature:
    """One signature line. The key id is four bytes; the blob is what the key's type makes of it."""

    name: str
    key_id: bytes
    blob: bytes


@dataclass(frozen=True, slots=True)
class UnverifiedNote:
    """A well-formed note of which no signature has been checked. ``text`` ends in a newline."""

    text: bytes
    signatures: tuple[UnverifiedSignature, ...]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A named public key (32 bytes of Ed25519) for one type of signature.

    Built by ``parse_vkey`` or ``verifier_key``.
    """

    name: str
    kind: SignatureType
    public: bytes
    key_id: bytes

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64(bytes([self.kind]) + self.public)}"


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A good signature by a known key; ``time_s`` is the Unix time a cosignature states, absent for other types."""

    key: VerifierKey
    time_s: int | None


@dataclass(frozen=True, slots=True)
class VerifiedNote:
    """A text and the known keys that signed it, at least one."""

    text: bytes
    signatures: tuple[VerifiedSignature, ...]


class NoteSigner:
    """Signs note texts as one name with one Ed25519 key."""

    __slots__ = ("_line_start", "_signer", "key")

    def __init__(self, name: str, signer: Ed25519Signer) -> None:
        self.key: Final = verifier_key(name, SignatureType.ED25519, signer.public)
        self._signer: Final = signer
        self._line_start: Final = f"{_PREFIX}{name} "

    def sign(self, text: str) -> str:
        """Return the note over a text that ends in a newline and has no control character but newlines."""
        return f"{text}\n{self.signature_line(text)}"

    def signature_line(self, text: str) -> str:
        """Return one signature line over a text, with its newline."""
        return f"{self._line_start}{b64(self.key.key_id + self._signer.sign(text.encode()))}\n"


def verifier_key(name: str, kind: SignatureType, public: bytes) -> VerifierKey:
    """Return the key of a name; ``NoteError`` for a name or a point that may not be used."""
    _check_name(name)
    try:
        check_ed25519_public(public)
    except ValueError as exc:
        raise NoteError("public_key") from exc
    return VerifierKey(name, kind, public, _key_id(name, kind, public))


def parse_vkey(text: str) -> VerifierKey:
    """Read ``<name>+<key id, 8 hex digits>+<base64 of type byte and key>``.

    ``NoteError`` unless the key id is the computed one.
    """
    # The base64 part may itself contain plus signs; a name may not.
    parts = text.split("+", 2)
    if len(parts) != 3:  # noqa: PLR2004 - name, key id, key
        raise NoteError("vkey_form")
    name, key_id, material = parts
    try:
        raw = parse_b64(material)
    except ValueError as exc:
        raise NoteError("vkey_base64") from exc
    if not raw or raw[0] not in SignatureType.__members__.values():
        raise NoteError("vkey_type")
    key = verifier_key(name, SignatureType(raw[0]), raw[1:])
    if key.key_id.hex() != key_id:
        raise NoteError("vkey_key_id")
    return key


def parse_note(raw: bytes) -> UnverifiedNote:
    """Split a note at its last blank line; ``NoteError`` for anything that is not a note."""
    if len(raw) > MAX_NOTE_BYTES:
        raise NoteError("note_too_long")
    try:
        note = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise NoteError("not_utf8") from exc
    if _CONTROL.search(note):
        raise NoteError("control_character")
    text, blank, block = note.rpartition("\n\n")
    if not blank or not block.endswith("\n"):
        raise NoteError("note_form")
    lines = block[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError("too_many_signatures")
    return UnverifiedNote(f"{text}\n".encode(), tuple(_parse_signature_line(line) for line in lines))


def open_note(raw: bytes, keys: Sequence[VerifierKey]) -> VerifiedNote:
    """Return the text with the known keys that signed it.

    Signatures of unknown keys are ignored, also when only the name or only the key id is known. A known key whose
    signature fails refuses the whole note. A key that signs twice counts once. ``NoteError`` also when no known key
    signed.
    """
    note = parse_note(raw)
    known: Mapping[tuple[str, bytes], VerifierKey] = {(key.name, key.key_id): key for key in keys}
    if len(known) != len(keys):
        raise NoteError("ambiguous_keys")
    verified: dict[tuple[str, bytes], VerifiedSignature] = {}
    for signature in note.signatures:
        identity = (signature.name, signature.key_id)
        key = known.get(identity)
        if key is not None:
            found = VerifiedSignature(key, verify_signature(key, signature.blob, note.text))
            verified.setdefault(identity, found)
    if not verified:
        raise NoteError("no_known_signature")
    return VerifiedNote(note.text, tuple(verified.values()))


def verify_signature(key: VerifierKey, blob: bytes, text: bytes) -> int | None:
    """Return the time a cosignature states, None for a plain signature; ``NoteError`` if it does not verify."""
    time_s: int | None = None
    message, signature = text, blob
    if key.kind is SignatureType.COSIGNATURE:
        time_s, signature = int.from_bytes(blob[:_TIME_BYTES], "big"), blob[_TIME_BYTES:]
        if time_s > _MAX_COSIGNATURE_TIME:
            raise NoteError("cosignature_time")
        message = cosignature_message(time_s, text)
    if len(signature) != _ED25519_BYTES:
        raise NoteError("signature_length")
    try:
        verify_ed25519(key.public, signature, message)
    except BadSignature as exc:
        raise NoteError("bad_signature") from exc
    return time_s


def cosignature_message(time_s: int, text: bytes) -> bytes:
    """Return what a witness signs (c2sp.org/tlog-cosignature, Ed25519 signed message)."""
    return b"cosignature/v1\ntime %d\n%b" % (time_s, text)


def _parse_signature_line(line: str) -> UnverifiedSignature:
    name, space, encoded = line.removeprefix(_PREFIX).partition(" ")
    if not line.startswith(_PREFIX) or not space:
        raise NoteError("signature_line")
    _check_name(name)
    try:
        raw = parse_b64(encoded)
    except ValueError as exc:
        raise NoteError("signature_base64") from exc
    if len(raw) <= _KEY_ID_BYTES:
        raise NoteError("signature_length")
    return UnverifiedSignature(name, raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:])


def _check_name(name: str) -> None:
    if not name or _FORBIDDEN_IN_NAME.search(name):
        raise NoteError("key_name")


def _key_id(name: str, kind: SignatureType, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + bytes([kind]) + public)[:_KEY_ID_BYTES]
