"""What a partner asks, parsed and bounded.

For: the value between the HTTP edge and the use case. Built only by a parser (``gateway.api.wire``).
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from gateway.credit.identifiers import Uscc


class Purpose(StrEnum):
    """Why a partner asks. Only a purpose that its agreement names is served."""

    ONBOARDING = "onboarding"
    PERIODIC_REVIEW = "periodic_review"
    RISK = "risk"
    COMPLAINT = "complaint"


class Relation(StrEnum):
    """What the subject is to the partner."""

    SIGNED_MERCHANT = "signed_merchant"
    OTHER_PARTICIPANT = "other_participant"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question about one subject. At least one of ``uscc`` and ``name`` is present.

    ``canonical_body`` is the RFC 8785 form of the request body: what the leaf commits to and what an idempotency key is bound to.
    """

    uscc: Uscc | None
    name: str | None
    purpose: Purpose
    business_ref: str
    relation: Relation
    idempotency_key: str | None
    canonical_body: bytes
