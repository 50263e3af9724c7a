"""What ``--json`` commands write: plain trees of our values, with stable member names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.base.canonical import JsonError, parse_json
from gateway.base.clock import from_datetime, rfc3339

if TYPE_CHECKING:
    from gateway.audit.fsck_against import KeptCheckpoint
    from gateway.audit.fsck_report import FsckReport
    from gateway.base.clock import Millis
    from gateway.credit.replica_row import Part
    from gateway.identity.partner import Partner, RegisteredKey
    from gateway.postgres.feed_status import FeedStatus
    from gateway.postgres.log_reader import RecentLeaf
    from gateway.worker.compare import FeedProof


def partner_shape(partner: Partner) -> dict[str, Any]:
    """Return a partner."""
    return {
        "partner_id": partner.partner_id,
        "client_id": partner.client_id,
        "name": partner.name,
        "sector": partner.sector,
        "state": partner.state.value,
        "scopes": sorted(partner.scopes),
        "purposes": sorted(partner.purposes),
    }


def key_shape(key: RegisteredKey) -> dict[str, Any]:
    """Return a registered key."""
    return {
        "kid": key.kid,
        "thumbprint": key.thumbprint,
        "alg": key.key.alg.value,
        "purpose": key.purpose.value,
        "state": key.state.value,
        "not_before": rfc3339(key.not_before_ms),
        "created_at": rfc3339(key.created_ms),
        "retire_at": _moment(key.retire_at_ms),
        "revoked_at": _moment(key.revoked_ms),
        "jwk": dict(key.key.jwk),
    }


def fsck_shape(report: FsckReport, guard: KeptCheckpoint | None) -> dict[str, Any]:
    """Return the result of a check of the log."""
    return {
        "clean": report.clean,
        "complete": report.complete,
        "leaves": report.leaves,
        "batches": report.batches,
        "tiles": report.tiles,
        "secrets": report.secrets,
        "unopened": report.unopened,
        "requests": report.requests,
        "guard": None if guard is None else {"size": guard.size, "root": guard.root.hex()},
        "head_size": report.head_size,
        "root": report.root.hex(),
        "faults": [{"code": fault.code.value, "where": fault.where} for fault in report.faults],
    }


def leaf_shape(leaf: RecentLeaf) -> dict[str, Any]:
    """Return a leaf of the log with its bytes read as JSON."""
    try:
        content: Any = parse_json(leaf.leaf)
    except JsonError:  # fsck reports such a leaf; showing it must not fail
        content = None
    return {
        "leaf_index": leaf.leaf_index,
        "logged_at": rfc3339(from_datetime(leaf.logged_at)),
        "kind": leaf.kind,
        "partner_id": leaf.partner_id,
        "operation": leaf.operation,
        "purpose": leaf.purpose,
        "decision": leaf.decision,
        "verification_id": leaf.verification_id,
        "leaf": content,
    }


def feed_shape(status: FeedStatus) -> dict[str, Any]:
    """Return the state of the feed."""
    return {
        "feed": status.feed,
        "version": status.version,
        "as_of": _moment(status.as_of_ms),
        "applied_at": _moment(status.applied_ms),
        "records": status.records,
        "quarantined": status.quarantined,
        "events": [
            {
                "at": rfc3339(event.at_ms),
                "version": event.version,
                "result": event.result,
                "reason": event.reason,
                "records": event.records,
                "quarantined": event.quarantined,
            }
            for event in status.events
        ],
    }


def proof_shape(proof: FeedProof) -> dict[str, Any]:
    """Return what a comparison of the replica with the signed data found; ``named`` holds the first differences."""
    found = proof.round
    return {
        "result": found.result.value,
        "doubted": proof.doubted,
        "version": found.version,
        "digests_version": found.digests_version,
        "rows": found.rows,
        "differences": sum(found.counts.values()),
        "counts": {kind.value: count for kind, count in sorted(found.counts.items())},
        "named": [
            {"kind": one.kind.value, "part": part_word(one.part), "key": one.key, "subject": one.subject}
            for one in found.named
        ],
    }


def part_word(part: Part | None) -> str | None:
    """Return the word for where a row stands; ``None`` for the head of the feed."""
    return None if part is None else part.name.lower()


def _moment(instant: Millis | None) -> str | None:
    return None if instant is None else rfc3339(instant)
