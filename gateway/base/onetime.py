"""One-time identifiers: the digest of a proof or assertion that may be used once in the whole cluster.

For: naming what the audit commit must find unused. Made by ``gateway.identity``, claimed by ``gateway.audit``, which do not
know each other. Not for: deciding whether something was used; only the audit commit knows.
"""

from __future__ import annotations

import datetime as dt
import hashlib

import msgspec

from gateway.base.clock import utc_day


class OneTimeId(msgspec.Struct, frozen=True):
    """A claim on one use.

    ``day`` is the UTC day of a time *inside the signed proof*: the store keeps one partition a day, and a day taken from the
    arrival clock would accept the same proof once in each partition. ``digest`` is 16 bytes.
    """

    day: dt.date
    digest: bytes


def one_time_id(*, kind: str, holder: str, jti: str, signed_time_s: int) -> OneTimeId:
    """Return the claim of one ``jti`` of one key holder.

    ``holder`` (a key thumbprint) is part of the digest, so that two partners neither collide with nor block each other. So is the day:
    the same ``jti`` signed on another day is another id, and an id stands under one day only, whatever a partner signs.
    """
    day = utc_day(signed_time_s)
    digest = hashlib.sha256(f"{kind}\n{holder}\n{jti}\n{day}".encode()).digest()[:16]
    return OneTimeId(day, digest)
