"""Client assertions: how a partner proves at the token endpoint that it is the client it names.

For: ``private_key_jwt``. ``parse_assertion`` checks what is independent of the client; ``verify_assertion`` checks key
and signature.
Not for: whether the assertion was used before; the commit decides that by the claim of the result.
Source: RFC 7521 section 5.2, RFC 7523 section 3, OpenID Connect Core section 9, rfc7523bis section 4; FAPI 2.0 Security
Profile 5.3.2.1 (audience: the issuer as a string and nothing else). Statements C1 to C8, table A.

An assertion serves until its ``exp``, but no longer than ``MAX_LIFETIME_S`` after its ``iat``: stock clients put ``exp`` an hour off,
and a stolen assertion should not be worth an hour. It is remembered as used beyond that end, so that it cannot be used again before it.

Unknown client, wrong key and bad signature do the same work and give the same answer, so nobody learns which clients
exist: one key is read and verified against, the one that was meant, or a decoy of the algorithm that the assertion names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.base.canonical import Json
from gateway.base.clock import Millis
from gateway.base.onetime import OneTimeId, one_time_id
from gateway.identity.claims import FUTURE_SKEW_S, ClaimError, find_instant, require_instant, require_jti, require_text
from gateway.identity.decoy import admits, decoy_for
from gateway.identity.jws import JwsError, JwsKind, UnverifiedJws, parse_compact
from gateway.identity.partner import (
    CLIENT_ID,
    KeyPurpose,
    Partner,
    PartnerState,
    RegisteredKey,
    StoredClient,
    StoredKey,
)

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_LIFETIME_S: Final = 300
"""How long an assertion serves at the most: from its ``iat``, or, if it has none, from now. Published to partners."""

_KID: Final = re.compile(r"[\x21-\x7e]{1,128}")


class AssertionRefused(Exception):  # noqa: N818 - named for what it says
    """The assertion does not authenticate. ``reason`` is for our log only: outside all reasons look the same."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason: Final = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedAssertion:
    """A well-formed assertion for us, within its time, whose signature nobody has checked yet.

    ``end`` is the first second at which it serves no more, in Unix time; it follows from what is signed alone.
    """

    client_id: str
    kid: str | None
    jti: str
    end: int
    jws: UnverifiedJws


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAssertion:
    """The client is who it says, if the claim proves unused. ``key`` is the registered key that signed."""

    partner: Partner
    key: RegisteredKey
    claim: OneTimeId


def parse_assertion(text: str, *, issuer: str, client_id: str | None, now: Millis) -> UnverifiedAssertion:
    """Read an assertion and check everything that does not depend on who the client is.

    ``client_id`` is the form parameter, if there was one. Raises ``AssertionRefused``.
    """
    try:
        jws = parse_compact(text, JwsKind.CLIENT_ASSERTION)
        subject = _check_parties(jws.payload, issuer, client_id)
        end = _check_times(jws.payload, now // 1000)
        jti = require_jti(jws.payload)
    except (JwsError, ClaimError) as exc:
        raise AssertionRefused("assertion_" + exc.reason) from exc
    if jws.kid is not None and _KID.fullmatch(jws.kid) is None:
        raise AssertionRefused("assertion_kid")
    return UnverifiedAssertion(client_id=subject, kid=jws.kid, jti=jti, end=end, jws=jws)


def verify_assertion(unverified: UnverifiedAssertion, client: StoredClient | None, *, now: Millis) -> VerifiedAssertion:
    """Check the signature with a registered key of the client, then the states of key and partner.

    ``client`` is what the directory found for ``unverified.client_id``: None costs as much as a wrong key.
    Raises ``AssertionRefused``.
    """
    jws = unverified.jws
    meant = _select_key(unverified, client, now)
    decoy = decoy_for(jws.alg, jws.signature)
    key = (meant or decoy.stored).read()
    # An RSA signature that is too long, too short or too large for the key would be refused without the work.
    verifier = key.key if admits(key.key, jws.signature) else decoy.key
    verifies = verifier.verifies(jws.signature, jws.signing_input)
    if client is None or meant is None:  # whatever the decoy says
        raise AssertionRefused("client_unknown" if client is None else "key_unknown")
    if not verifies or verifier is not key.key:
        raise AssertionRefused("assertion_signature")
    unusable = key.why_unusable(now)
    if unusable is not None:
        raise AssertionRefused(unusable)
    if client.partner.state is not PartnerState.ACTIVE:
        raise AssertionRefused("partner_" + client.partner.state.value)
    # The day of its end: it cannot be used again after that day, and `end` is at most `MAX_LIFETIME_S` and a skew away, where `exp` may
    # be years ahead, in a partition that nobody has made.
    claim = one_time_id(kind="assertion", holder=key.thumbprint, jti=unverified.jti, signed_time_s=unverified.end)
    return VerifiedAssertion(partner=client.partner, key=key, claim=claim)


def _check_parties(claims: Mapping[str, Json], issuer: str, form_client_id: str | None) -> str:
    subject = require_text(claims, "sub")
    if require_text(claims, "iss") != subject or form_client_id not in {None, subject}:
        raise ClaimError("client_mismatch")
    if CLIENT_ID.fullmatch(subject) is None:
        raise ClaimError("sub")
    if claims.get("aud") != issuer:  # a string and this one: an array is never equal to it
        raise ClaimError("aud")
    return subject


def _check_times(claims: Mapping[str, Json], now_s: int) -> int:
    """Return the end of an assertion that serves now: ``exp``, or the cap after ``iat`` if that is earlier (rows A30 to A34)."""
    exp = require_instant(claims, "exp")
    iat = find_instant(claims, "iat")
    nbf = find_instant(claims, "nbf")
    if exp <= now_s:
        raise ClaimError("expired")
    if nbf is not None and nbf > now_s + FUTURE_SKEW_S:
        raise ClaimError("not_yet_valid")
    if iat is None:
        if exp > now_s + MAX_LIFETIME_S:  # nothing else says when it was made
            raise ClaimError("lives_too_long")
        return exp
    if not now_s - MAX_LIFETIME_S < iat <= now_s + FUTURE_SKEW_S:
        raise ClaimError("iat_window")
    return min(exp, iat + MAX_LIFETIME_S)


def _select_key(unverified: UnverifiedAssertion, client: StoredClient | None, now: Millis) -> StoredKey | None:
    """Return the client's own key that must have signed, in whatever state; None if the assertion names none.

    Without ``kid`` the client must have exactly one usable key: trying several would make the choice the sender's.
    """
    if client is None:
        return None
    own = [key for key in client.keys if key.purpose is KeyPurpose.CLIENT_AUTH]
    if unverified.kid is None:
        named = [key for key in own if key.why_unusable(now) is None]
    else:
        named = [key for key in own if key.kid == unverified.kid]
    if len(named) != 1 or named[0].alg is not unverified.jws.alg:
        return None
    return named[0]
