"""Recording that a token was issued: the identity port on the audit commit.

A token is a leaf like an answer, so that what was done with a credential can be told from the log alone; and the commit is what
makes a client assertion usable once in the whole cluster.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.audit import entry as leaves
from gateway.audit.entry import LeafFields, LeafKind, encode_leaf
from gateway.audit.merkle import leaf_hash
from gateway.audit.plaintext import NOTHING, seal_plaintext
from gateway.audit.ports import PendingEntry, Refusal, Refused
from gateway.base.canonical import canonical_json
from gateway.base.clock import rfc3339
from gateway.base.entropy import random_bytes
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.onetime import OneTimeId
from gateway.base.sealing import Sealer
from gateway.identity.ports import CredentialRevoked, Replayed, TokenIssue, TokenRefusal
from gateway.verification.ledger import Names
from gateway.verification.ports import Commit

OPERATION: Final = "token.issue"
OK: Final = 200


class CommittedTokens:
    """``gateway.identity.ports.TokenLedger`` on the audit commit."""

    def __init__(self, commit: Commit, sealer: Sealer, names: Names) -> None:
        self._commit: Final = commit
        self._sealer: Final = sealer
        self._names: Final = names

    async def record_issue(self, issue: TokenIssue) -> None:
        """Commit the leaf of a token; raise ``Replayed``, ``CredentialRevoked`` or a store's ``GatewayError``."""
        said = canonical_json({"jkt": issue.jkt, "jti": issue.token_jti, "scope": " ".join(sorted(issue.scopes))})
        salt = random_bytes(leaves.SALT_BYTES)
        leaf = self._leaf(
            args_c=leaves.seal(salt, leaves.Committed.ARGS, said).commitment,
            assert_id=issue.assertion_claim.digest.hex(),
            cred=issue.credential,
            decision="allow",
            kind=LeafKind.TOKEN,
            partner=issue.partner_id,
            req_h=issue.request_hash.hex(),
            req_id=issue.proof_claim.digest.hex(),
            status=OK,
            ts=rfc3339(issue.issued_ms),
        )
        claims = (issue.assertion_claim, issue.proof_claim)
        await self._submit(self._entry(leaf, salt, issue.partner_id, issue.credential, claims))

    async def record_refusal(self, refusal: TokenRefusal) -> None:
        """Commit the leaf of a refusal; raises like ``record_issue``."""
        claim = refusal.assertion_claim
        leaf = self._leaf(
            assert_id=claim.digest.hex(),
            cred=refusal.credential,
            decision=f"deny:{refusal.reason}",
            kind=LeafKind.DENY,
            partner=refusal.partner_id,
            req_h=refusal.request_hash.hex(),
            status=refusal.status,
            ts=rfc3339(refusal.refused_ms),
        )
        salt = random_bytes(leaves.SALT_BYTES)
        await self._submit(self._entry(leaf, salt, refusal.partner_id, refusal.credential, (claim,)))

    def _leaf(self, **members: Any) -> LeafFields:  # noqa: ANN401 - the members of the leaf, checked by msgspec's own types
        return LeafFields(gw=self._names.gateway, log=self._names.origin, n=0, op=OPERATION, **members)

    def _entry(
        self, fields: LeafFields, salt: bytes, partner_id: str, credential: str, claims: tuple[OneTimeId, ...]
    ) -> PendingEntry:
        leaf = encode_leaf(fields)
        digest = leaf_hash(leaf)
        return PendingEntry(
            leaf=leaf,
            leaf_hash=digest,
            kind=fields.kind,
            operation=OPERATION,
            decision=fields.decision,
            salt=salt,
            key_id=self._sealer.current,
            sealed=seal_plaintext(self._sealer, NOTHING, digest, salt),
            partner_id=partner_id,
            claims=claims,
            credential=credential,
        )

    async def _submit(self, entry: PendingEntry) -> None:
        outcome = await self._commit.submit(entry)
        if not isinstance(outcome, Refused):
            return
        match outcome.reason:
            case Refusal.REPLAYED:
                raise Replayed(frozenset() if outcome.claim is None else frozenset({outcome.claim.digest}))
            case Refusal.REVOKED:
                raise CredentialRevoked
            case Refusal.IDEMPOTENCY_TAKEN:  # a token has no idempotency key
                raise GatewayError(ErrorKind.INTERNAL)
