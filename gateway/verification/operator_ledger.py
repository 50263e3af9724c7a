"""Writing operators' acts into the log: each change and its leaf are one transaction, or neither happens.

For: partners brought on, keys registered and revoked. A revocation takes the same head lock as every answer, so its place in the
log says exactly which answers it came before.
Not for: what the change is (``gateway.postgres.partner_store``) or who may make it (the operator's database role).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.audit import entry as leaves
from gateway.audit.entry import LeafFields, LeafKind, encode_leaf
from gateway.audit.merkle import leaf_hash
from gateway.audit.plaintext import render_plaintext, seal_plaintext
from gateway.audit.ports import PendingEntry, Refused, Rider
from gateway.base.clock import Clock, rfc3339
from gateway.base.entropy import random_bytes
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.sealing import Sealer
from gateway.verification.ledger import Names
from gateway.verification.ports import Commit

OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Whom an act is about, said in clear in its leaf: a partner, and the thumbprint of a key of it."""

    partner_id: str | None = None
    credential: str | None = None


NOBODY: Final = About()


class OperatorLedger:
    """Commits acts of operators."""

    def __init__(self, commit: Commit, sealer: Sealer, names: Names, clock: Clock) -> None:
        self._commit: Final = commit
        self._sealer: Final = sealer
        self._names: Final = names
        self._clock: Final = clock

    async def act(
        self, kind: LeafKind, operation: str, said: bytes, rider: Rider | None, *, about: About = NOBODY
    ) -> int:
        """Make a change and its leaf durable; return the index of the leaf.

        ``said`` is the canonical JSON of what was done: committed to in the leaf, sealed beside it.
        ``about`` says whom it is about, where it is about somebody. ``rider`` is None for an act that changes nothing in the same
        database transaction, such as an approval.

        Raises:
            GatewayError: what the rider refuses with, or that the store is not available; then nothing was changed.
        """
        salt = random_bytes(leaves.SALT_BYTES)
        leaf = encode_leaf(
            LeafFields(
                args_c=leaves.seal(salt, leaves.Committed.ARGS, said).commitment,
                cred=about.credential,
                decision="allow",
                gw=self._names.gateway,
                log=self._names.origin,
                n=0,
                op=operation,
                partner=about.partner_id,
                status=OK,
                kind=kind,
                ts=rfc3339(self._clock.now_ms()),
            )
        )
        digest = leaf_hash(leaf)
        entry = PendingEntry(
            leaf=leaf,
            leaf_hash=digest,
            kind=kind,
            operation=operation,
            decision="allow",
            salt=salt,
            key_id=self._sealer.current,
            sealed=seal_plaintext(self._sealer, render_plaintext(answer=None, arguments=said), digest, salt),
            partner_id=about.partner_id,
            rider=rider,
        )
        outcome = await self._commit.submit(entry)
        if isinstance(outcome, Refused):  # an act has no claim, credential or key that could be refused
            raise GatewayError(ErrorKind.INTERNAL, reason=outcome.reason)
        return outcome.leaf_index
