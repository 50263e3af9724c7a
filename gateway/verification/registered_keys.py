"""Whether a partner and its key are what the log says they are, when the key authenticates.

For: ``gateway.identity.ports.Registrations`` on the log. A row that no leaf brought, that says anything else than its leaf, or that is
alive though a leaf ended it, authenticates nothing, whoever wrote it.
Not for: the comparison itself (``registrations``), nor for a key that was revoked since a token was issued: the audit commit reads that.

WEAK: who owns the database can hide the row of a revocation, leaf and all, from the look-up here, as from any reader that does not read
the whole log; ``audit fsck`` does, and finds the gap.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.audit.acts import Contradiction, SaidLeaf
from gateway.audit.entry import LeafError, decode_leaf
from gateway.base.canonical import Json, canonical_json, parse_json_object
from gateway.base.sealing import Sealer
from gateway.identity.lru import LruCache
from gateway.identity.partner import Partner, RegisteredKey
from gateway.identity.ports import PartnerDirectory, Unregistered
from gateway.verification.alarm import Alarm
from gateway.verification.opened import Erased, NotCommitted, open_leaf
from gateway.verification.ports import LeafProver, NotInTree, RegistrationArchive, StoredLeaf
from gateway.verification.registrations import (
    key_contradictions,
    key_row,
    partner_contradictions,
    partner_row,
)

MAX_LEAVES: Final = 16
"""About one partner and one key there are two to four: brought on, registered, retired, compromised. More are not read."""
PROVEN_KEYS: Final = 1024
"""Keys whose proof is remembered; partners number in the hundreds, with two keys each."""
_NOT_IN_TREE: Final = "not_in_tree"
_LEAF_FORM: Final = "leaf"
_TOO_MANY: Final = "too_many_leaves"


class RegisteredKeys:
    """``gateway.identity.ports.Registrations`` on the audit log."""

    def __init__(
        self,
        *,
        directory: PartnerDirectory,
        archive: RegistrationArchive,
        prover: LeafProver,
        sealer: Sealer,
        alarm: Alarm,
    ) -> None:
        self._directory: Final = directory
        self._archive: Final = archive
        self._prover: Final = prover
        self._sealer: Final = sealer
        self._alarm: Final = alarm
        # By what was compared, rows and leaves together: a change of either is another key of the cache.
        self._proven: Final[LruCache[bool]] = LruCache(PROVEN_KEYS)

    async def require(self, partner: Partner, key: RegisteredKey) -> None:
        """Return if the log says of partner and key exactly what is given; raise ``Unregistered`` otherwise.

        1. Read the leaves about both: each time, for a leaf that ends a key must be seen at once.  2. What was proven before, from
        the same rows and the same leaves, stands.  3. The leaves are in the tree, open, and say what the rows say.
        """
        rows = partner_row(partner), key_row(key, partner.partner_id)
        # 1
        leaves = await self._archive.registrations(partner.partner_id, key.thumbprint, MAX_LEAVES + 1)
        # 2
        compared = _digest(rows, leaves)
        if self._proven.get(compared):
            return
        # 3
        contradictions = await self._contradictions(rows, leaves)
        if contradictions:
            if await self._stands(partner, key):
                for one in contradictions:
                    self._alarm.key(key.thumbprint, one.what, one.leaf_index)
            raise Unregistered
        self._proven.put(compared, value=True)

    async def _stands(self, partner: Partner, key: RegisteredKey) -> bool:
        """Tell whether the rows are still as given: an operator who revoked the key between two of our reads is no alarm."""
        client = await self._directory.find_client(partner.client_id, key.kid)
        if client is None or partner_row(client.partner) != partner_row(partner):
            return False
        row = key_row(key, partner.partner_id)
        return any(key_row(other.read(), client.partner.partner_id) == row for other in client.keys)

    async def _contradictions(
        self, rows: tuple[Mapping[str, Json], Mapping[str, Json]], leaves: Sequence[StoredLeaf]
    ) -> list[Contradiction]:
        if len(leaves) > MAX_LEAVES:
            return [Contradiction(_TOO_MANY, None)]
        try:
            await self._prover.prove(leaves)
        except NotInTree as exc:
            return [Contradiction(_NOT_IN_TREE, exc.leaf_index)]
        said: list[SaidLeaf] = []
        for leaf in leaves:
            try:
                said.append(self._read(leaf))
            except LeafError:
                return [Contradiction(_LEAF_FORM, leaf.leaf_index)]
        partner, key = rows
        return [*partner_contradictions(partner, said), *key_contradictions(key, said)]

    def _read(self, stored: StoredLeaf) -> SaidLeaf:
        fields = decode_leaf(stored.leaf)
        try:
            opened = open_leaf(stored.leaf, fields, stored.secret, self._sealer)
        except (Erased, NotCommitted):
            return SaidLeaf(leaf_index=stored.leaf_index, fields=fields, said=None)
        return SaidLeaf(leaf_index=stored.leaf_index, fields=fields, said=parse_json_object(opened.args))


def _digest(rows: tuple[Mapping[str, Json], Mapping[str, Json]], leaves: Sequence[StoredLeaf]) -> str:
    """Return what a proof is remembered by: everything it was made from but the tree, which only grows."""
    digest = hashlib.sha256(canonical_json(rows))
    for leaf in leaves:
        digest.update(leaf.leaf_index.to_bytes(8, "big", signed=True))
        digest.update(hashlib.sha256(leaf.leaf).digest())
        secret = leaf.secret
        if secret is not None:
            digest.update(b"%d," % secret.key_id + hashlib.sha256(secret.salt + secret.sealed).digest())
    return digest.hexdigest()
