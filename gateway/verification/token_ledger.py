"""Recording that a token was issued: the identity port on the audit commit.

A token is a leaf like an answer, so that what was done with a credential can be told from the log alone; and the commit is what
makes a client assertion usable once in the whole cluster.
"""

from __future__ import annotations

from typing import Final

from gateway.audit import entry as leaves
from gateway.audit.entry import LeafFields, LeafKind, encode_leaf
from gateway.audit.merkle import leaf_hash
from gateway.audit.ports import PendingEntry, Refusal, Refused
from gateway.base.canonical import canonical_json
from gateway.base.clock import rfc3339
from gateway.base.entropy import random_bytes
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.sealing import Sealer
from gateway.identity.ports import CredentialRevoked, Replayed, TokenIssue
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
        outcome = await self._commit.submit(self._entry(issue))
        if not isinstance(outcome, Refused):
            return
        match outcome.reason:
            case Refusal.REPLAYED:
                used = frozenset() if outcome.claim is None else frozenset({outcome.claim.digest})
                raise Replayed(used)
            case Refusal.REVOKED:
                raise CredentialRevoked
            case Refusal.IDEMPOTENCY_TAKEN:  # a token has no idempotency key
                raise GatewayError(ErrorKind.INTERNAL)

    def _entry(self, issue: TokenIssue) -> PendingEntry:
        salt = random_bytes(leaves.SALT_BYTES)
        said = canonical_json({"jkt": issue.jkt, "jti": issue.token_jti, "scope": " ".join(sorted(issue.scopes))})
        leaf = encode_leaf(
            LeafFields(
                args_c=leaves.seal(salt, leaves.Committed.ARGS, said).commitment,
                cred=issue.credential,
                decision="allow",
                gw=self._names.gateway,
                log=self._names.origin,
                n=0,
                op=OPERATION,
                partner=issue.partner_id,
                req_h=issue.request_hash.hex(),
                req_id=issue.proof_claim.digest.hex(),
                status=OK,
                kind=LeafKind.TOKEN,
                ts=rfc3339(issue.issued_ms),
            )
        )
        return PendingEntry(
            leaf=leaf,
            leaf_hash=leaf_hash(leaf),
            kind=LeafKind.TOKEN,
            operation=OPERATION,
            decision="allow",
            salt=salt,
            key_id=self._sealer.current,
            sealed=b"",
            partner_id=issue.partner_id,
            claims=(issue.assertion_claim, issue.proof_claim),
            credential=issue.credential,
        )
