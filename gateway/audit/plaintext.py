"""What is sealed beside a leaf: the question and the answer it commits to, or nothing; and where it belongs.

For: one form and one place of every sealed text, for those who write it and those who open it.
Not for: encryption (``gateway.base.sealing``), commitments (``entry``).

The place is the leaf's hash and the entry's salt: a text opens beside its own leaf only, and a salt that was exchanged opens
nothing. So even a leaf that keeps no plaintext has a sealed text, an empty one: it vouches for the salt.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.audit.entry import Committed, LeafFields, open_key, opens
from gateway.base.canonical import Json, JsonError, canonical_json, parse_json_object
from gateway.base.sealing import Sealer

NOTHING = b""


@dataclass(frozen=True, slots=True)
class Plaintext:
    """The plaintext of a leaf as JSON values; None for what was not kept."""

    answer: Json
    arguments: Json


def seal_plaintext(sealer: Sealer, plaintext: bytes, digest: bytes, salt: bytes) -> bytes:
    """Return the sealed text of the entry with this leaf hash and salt. HOT."""
    return sealer.seal(plaintext, digest + salt)


def open_plaintext(sealer: Sealer, sealed: bytes, digest: bytes, salt: bytes, key_id: int) -> bytes:
    """Return the plaintext, empty if the leaf keeps none; ``CannotOpen`` if key, leaf, salt or text is another."""
    return sealer.open(sealed, digest + salt, key_id)


def render_plaintext(*, answer: bytes | None, arguments: bytes | None) -> bytes:
    """Return the JSON that is sealed, from canonical JSON. HOT: put together by hand."""
    return b'{"ans":' + (answer or b"null") + b',"args":' + (arguments or b"null") + b"}"


def parse_plaintext(plaintext: bytes) -> Plaintext:
    """Read an opened text that is not empty; ``JsonError`` if it is not of the form."""
    match parse_json_object(plaintext):
        case {"ans": answer, "args": arguments, **rest} if not rest:
            return Plaintext(answer, arguments)
        case _:
            raise JsonError("plaintext_form")


def matches(kept: Plaintext, fields: LeafFields, salt: bytes) -> bool:
    """Tell whether the leaf commits to exactly what was kept, under the salt."""
    return _matches(kept.answer, fields.ans_c, open_key(salt, Committed.ANS)) and _matches(
        kept.arguments, fields.args_c, open_key(salt, Committed.ARGS)
    )


def _matches(value: Json, commitment: str | None, key: bytes) -> bool:
    if value is None or commitment is None:
        return value is None and commitment is None
    return opens(commitment, key, canonical_json(value))
