"""Reading again what was answered: for the partner that asked, and for nobody else.

The answer is opened from its sealed text and its receipt is rebuilt from the stored tree, to the very checkpoint of its batch.
Every reading is itself a leaf. "No such verification" and "not yours" are one answer.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.audit.entry import LeafKind, decode_leaf
from gateway.audit.merkle import leaf_hash
from gateway.audit.receipt import build_receipt, opening_keys
from gateway.audit.tiles import StoredTree
from gateway.base.canonical import canonical_json, parse_json_object
from gateway.base.crypto import sha256
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.sealing import CannotOpen, Sealer
from gateway.verification.call import Call
from gateway.verification.ledger import Happening, Ledger, raise_if_refused
from gateway.verification.log_face import ProofRenderer
from gateway.verification.ports import Archive, Archived

OK: Final = 200


class Proven(msgspec.Struct, frozen=True):
    """An answer as canonical JSON without its receipt, and the receipt as JSON."""

    verification_id: str
    answer_json: bytes
    receipt_json: bytes
    replayed: bool
    outcome: str


class ReadBack:
    """Gives a partner its own earlier answers and receipts."""

    def __init__(self, archive: Archive, sealer: Sealer, ledger: Ledger, proofs: ProofRenderer) -> None:
        self._archive: Final = archive
        self._sealer: Final = sealer
        self._ledger: Final = ledger
        self._proofs: Final = proofs

    async def answer(self, call: Call, verification_id: str, *, claim_used: bool = True) -> Proven:
        """Return an earlier answer with its receipt.

        Raises:
            GatewayError: ``NOT_FOUND`` also for another partner's and for an erased one; what the commit refuses; store failures.
        """
        archived = await self._own(call, verification_id)
        answer_json = self._open(archived)
        receipt = await self._receipt(archived)
        await self._note(call, verification_id, answer_json, claim_used=claim_used)
        outcome = parse_json_object(answer_json).get("outcome")
        return Proven(verification_id, answer_json, receipt, replayed=True, outcome=str(outcome))

    async def receipt(self, call: Call, verification_id: str) -> bytes:
        """Return the receipt of an earlier answer, as JSON."""
        archived = await self._own(call, verification_id)
        receipt = await self._receipt(archived)
        await self._note(call, verification_id, receipt, claim_used=True)
        return receipt

    async def _own(self, call: Call, verification_id: str) -> Archived:
        archived = await self._archive.verification(verification_id)
        if archived is None or archived.partner_id != call.partner_id:
            raise GatewayError(ErrorKind.NOT_FOUND)
        return archived

    def _open(self, archived: Archived) -> bytes:
        if archived.sealed is None or archived.key_id is None:
            raise GatewayError(ErrorKind.NOT_FOUND, facts={"erased": True})
        try:
            opened = self._sealer.open(archived.sealed, leaf_hash(archived.leaf), archived.key_id)
        except CannotOpen as exc:
            raise GatewayError(ErrorKind.NOT_FOUND, facts={"erased": True}) from exc
        return canonical_json(parse_json_object(opened)["ans"])

    async def _receipt(self, archived: Archived) -> bytes:
        if archived.salt is None:
            raise GatewayError(ErrorKind.NOT_FOUND, facts={"erased": True})
        keys = opening_keys(decode_leaf(archived.leaf), archived.salt)
        size = archived.tree.point.size
        path = await StoredTree(self._archive, size).inclusion(archived.leaf_index, size)
        proof = await self._proofs.render(archived.leaf_index, archived.tree, path)
        return build_receipt(archived.leaf, keys, proof)

    async def _note(self, call: Call, verification_id: str, shown: bytes, *, claim_used: bool) -> None:
        happening = Happening(
            kind=LeafKind.READ,
            decision="allow:read",
            status=OK,
            items=1,
            args=canonical_json({"id": verification_id, "sha256": sha256(shown).hex()}),
            answer=shown,
            verification_id=verification_id,
            claim_used=claim_used,
            sealed=False,
        )
        raise_if_refused(await self._ledger.record(call, happening))
