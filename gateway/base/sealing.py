"""Sealing of stored plaintext: AES-256-GCM under numbered keys.

For: the question and answer behind a leaf, which must be erasable: destroying a key erases all it sealed.
Not for: what is hashed into the log (that is salted and committed to, not encrypted).
Source: NIST SP 800-38D; 96-bit random nonces, so one key seals at most 2^32 texts (section 8.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.base.entropy import random_bytes
from gateway.base.secret import Secret

NONCE_BYTES: Final = 12


class CannotOpen(Exception):  # noqa: N818 - a statement about what happened
    """The key is not here (any more), or the text was changed or moved to another place."""


class KeyDestroyed(CannotOpen):
    """The key is not here: what it sealed is erased, or was sealed elsewhere."""


class Sealer:
    """Seals under the current key and opens under any key it still has."""

    def __init__(self, keys: Mapping[int, Secret], *, current: int) -> None:
        self._ciphers: Final = {number: AESGCM(secret.reveal()) for number, secret in keys.items()}
        self._current: Final = self._ciphers[current]
        self.current: Final = current

    def knows(self, key_id: int) -> bool:
        """Tell whether the key of a number is here."""
        return key_id in self._ciphers

    def seal(self, plaintext: bytes, place: bytes) -> bytes:
        """Return nonce and ciphertext. ``place`` must be given again to open: a sealed text does not work elsewhere."""
        nonce = random_bytes(NONCE_BYTES)
        return nonce + self._current.encrypt(nonce, plaintext, place)

    def open(self, sealed: bytes, place: bytes, key_id: int) -> bytes:
        """Return the plaintext; raise ``KeyDestroyed`` if the key is not here, ``CannotOpen`` if anything differs."""
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            reason = "key destroyed"
            raise KeyDestroyed(reason)
        try:
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place)
        except (InvalidTag, ValueError) as exc:
            reason = "sealed text does not open"
            raise CannotOpen(reason) from exc
