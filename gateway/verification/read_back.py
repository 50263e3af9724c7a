"""Reading again what was answered: for the partner that asked, and for nobody else.

The answer is opened from its sealed text and its receipt is rebuilt from the stored tree, to the very checkpoint of its batch.
Every reading is itself a leaf. "No such verification" and "not yours" are one answer.

Rows are claims, the leaf is the fact. Whose answer it is, is what the leaf says; every column must follow from the leaf, the leaf must
be in the tree, and what is opened must be what the leaf commits to. A row that contradicts its leaf is refused and raises the alarm;
it never shows another partner's answer, nor another answer of the same partner.
"""

from __future__ import annotations

import dataclasses
from typing import Final, NoReturn

import msgspec

from gateway.audit.columns import EntryColumns, columns_of
from gateway.audit.entry import Committed, LeafError, LeafFields, LeafKind, decode_leaf, open_key, opens
from gateway.audit.merkle import leaf_hash
from gateway.audit.proofs import ProofError, verify_inclusion
from gateway.audit.receipt import build_receipt, opening_keys
from gateway.audit.tiles import StoredTree
from gateway.base.canonical import canonical_json, parse_json_object
from gateway.base.clock import Millis, parse_rfc3339
from gateway.base.crypto import sha256
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.sealing import Sealer
from gateway.verification.alarm import Alarm, Record
from gateway.verification.call import Call
from gateway.verification.ledger import Happening, Ledger, raise_if_refused
from gateway.verification.log_face import ProofRenderer
from gateway.verification.opened import Erased, NotCommitted, Opened, open_leaf
from gateway.verification.ports import Archive, Archived, StoredSecret

OK: Final = 200


class Proven(msgspec.Struct, frozen=True):
    """An answer as canonical JSON without its receipt, and the receipt as JSON."""

    verification_id: str
    answer_json: bytes
    receipt_json: bytes
    replayed: bool
    outcome: str


class Repeated(msgspec.Struct, frozen=True, kw_only=True):
    """What the leaf of an earlier answer must say to be the answer to this request too.

    The same operation and body, asked under the same idempotency key (SHA-256, 32 bytes), not before an instant.
    """

    operation: str
    canonical_body: bytes
    key_hash: bytes
    since: Millis


class _Own(msgspec.Struct, frozen=True, kw_only=True):
    """A row that has been compared with its leaf, which is the caller's own, in the tree, and opens."""

    archived: Archived
    fields: LeafFields
    secret: StoredSecret
    opened: Opened
    proof: str


class ReadBack:
    """Gives a partner its own earlier answers and receipts."""

    def __init__(
        self, *, archive: Archive, sealer: Sealer, ledger: Ledger, proofs: ProofRenderer, alarm: Alarm
    ) -> None:
        self._archive: Final = archive
        self._sealer: Final = sealer
        self._ledger: Final = ledger
        self._proofs: Final = proofs
        self._alarm: Final = alarm

    async def answer(self, call: Call, verification_id: str) -> Proven:
        """Return an earlier answer with its receipt.

        Raises:
            GatewayError: ``NOT_FOUND`` also for another partner's and for an erased one; ``RECORD_CONTRADICTED``; what the commit
                refuses; store failures.
        """
        return await self._give(call, await self._own(call, verification_id))

    async def receipt(self, call: Call, verification_id: str) -> bytes:
        """Return the receipt of an earlier answer, as JSON; raises like ``answer``."""
        receipt = _receipt(await self._own(call, verification_id))
        await self._note(call, verification_id, receipt)
        return receipt

    async def repeat(self, call: Call, verification_id: str, repeated: Repeated) -> Proven:
        """Return the earlier answer that an idempotency row names, if its leaf bears the row out.

        Whoever writes rows must not be able to have a new question answered by an old answer. So a row is honoured only if the leaf
        is the caller's own answer to this body, under this key, within the key's lifetime: the leaf commits to all of these. Raises
        like ``answer``, but that a row which names nothing, or somebody else's answer, is a contradiction of its own.
        """
        try:
            own = await self._own(call, verification_id)
        except GatewayError as exc:
            if exc.kind is ErrorKind.NOT_FOUND and "erased" not in exc.facts:
                self._refuse(call, Record.IDEMPOTENCY, "verification_id", None)
            raise
        column = _unlike(own, repeated)
        if column is not None:
            self._refuse(call, Record.IDEMPOTENCY, column, own.archived.stored.leaf_index)
        return await self._give(call, own)

    async def _give(self, call: Call, own: _Own) -> Proven:
        answer_json = own.opened.ans
        verification_id = own.fields.id or ""
        await self._note(call, verification_id, answer_json)
        outcome = parse_json_object(answer_json).get("outcome")
        return Proven(verification_id, answer_json, _receipt(own), replayed=True, outcome=str(outcome))

    async def _own(self, call: Call, verification_id: str) -> _Own:
        """Return the caller's own answer.

        1. Read the leaf; whose it is, the leaf says.  2. Every column follows from the leaf, and it is the answer that was asked for.
        3. The leaf is in its tree, which this host vouches for.  4. What is stored beside it is what it commits to.
        """
        archived = await self._archive.verification(verification_id)
        if archived is None:
            raise GatewayError(ErrorKind.NOT_FOUND)
        stored = archived.stored
        # 1, 2
        fields = self._read_leaf(call, archived, verification_id)
        # 3
        index, size = stored.leaf_index, archived.tree.point.size
        if not 0 <= index < size:
            self._refuse(call, Record.ANSWER, "leaf_index", index)
        with self._proofs.noticing_contradictions():
            path = await StoredTree(self._archive, size).inclusion(index, size)
        proof = await self._proofs.render(index, archived.tree, path)
        try:
            verify_inclusion(
                leaf_hash=leaf_hash(stored.leaf), index=index, size=size, path=path, root=archived.tree.point.root
            )
        except ProofError:
            self._refuse(call, Record.ANSWER, "leaf", stored.leaf_index)
        # 4
        try:
            opened = open_leaf(stored.leaf, fields, stored.secret, self._sealer)
        except NotCommitted as exc:
            self._refuse(call, Record.ANSWER, exc.column, stored.leaf_index)
        except Erased:
            opened = None
        if opened is None or stored.secret is None:
            raise GatewayError(ErrorKind.NOT_FOUND, facts={"erased": True})
        return _Own(archived=archived, fields=fields, secret=stored.secret, opened=opened, proof=proof)

    def _read_leaf(self, call: Call, archived: Archived, verification_id: str) -> LeafFields:
        stored, columns = archived.stored, archived.columns
        try:
            fields = decode_leaf(stored.leaf)
        except LeafError:
            self._alarm.entry(Record.ANSWER, "leaf", stored.leaf_index, partner_id=call.partner_id)
            if columns.partner_id != call.partner_id:
                raise GatewayError(ErrorKind.NOT_FOUND) from None
            raise _contradicted() from None
        derived = columns_of(fields)
        differing = _differing(columns, derived)
        if archived.leaf_hash != leaf_hash(stored.leaf):
            differing.add("leaf_hash")
        if derived.verification_id != verification_id:
            differing.add("verification_id")
        for column in sorted(differing):
            self._alarm.entry(Record.ANSWER, column, stored.leaf_index, partner_id=call.partner_id)
        if fields.partner != call.partner_id:
            raise GatewayError(ErrorKind.NOT_FOUND)
        if differing:
            raise _contradicted()
        return fields

    def _refuse(self, call: Call, record: Record, column: str, leaf_index: int | None) -> NoReturn:
        self._alarm.entry(record, column, leaf_index, partner_id=call.partner_id)
        raise _contradicted() from None

    async def _note(self, call: Call, verification_id: str, shown: bytes) -> None:
        happening = Happening(
            kind=LeafKind.READ,
            decision="allow:read",
            status=OK,
            items=1,
            args=canonical_json({"id": verification_id, "sha256": sha256(shown).hex()}),
            answer=shown,
            verification_id=verification_id,
            sealed=False,
        )
        raise_if_refused(await self._ledger.record(call, happening))


def _differing(stored: EntryColumns, derived: EntryColumns) -> set[str]:
    """Return the names of the columns in which a row differs from its leaf."""
    names = [column.name for column in dataclasses.fields(derived)]
    return {name for name in names if getattr(stored, name) != getattr(derived, name)}


def _receipt(own: _Own) -> bytes:
    return build_receipt(own.archived.stored.leaf, opening_keys(own.fields, own.secret.salt), own.proof)


def _unlike(own: _Own, repeated: Repeated) -> str | None:
    """Return the column of the idempotency row that the leaf does not bear out, or None."""
    fields = own.fields
    if fields.op != repeated.operation:
        return "op"
    if own.opened.args != repeated.canonical_body:
        return "body_hash"
    key = open_key(own.secret.salt, Committed.IDEM)
    if fields.idem_c is None or not opens(fields.idem_c, key, repeated.key_hash):
        return "key_hash"
    if parse_rfc3339(fields.ts) < repeated.since:
        return "created_ms"
    return None


def _contradicted() -> GatewayError:
    return GatewayError(ErrorKind.RECORD_CONTRADICTED)
