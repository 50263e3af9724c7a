"""Access tokens: short-lived JWTs bound to the key that proves their possession.

For: issuing them at the token endpoint and verifying them at every resource. HOT on a cache hit.
Not for: revocation, which the audit commit decides by the ``cred`` claim, exactly, on every process.
Source: RFC 9068 sections 2 and 4; RFC 9449 section 6.1 (``cnf.jkt``); RFC 8725. Statements R5 and R7, rows D02 to D05
and D10.

Claims of ours: ``partner``, the partner's identifier; ``cred``, the thumbprint of the registered key that authenticated;
and ``purposes``, what the partner's agreement lets it ask for. A changed agreement is in force when the token has run
out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt

from gateway.base.canonical import Json
from gateway.base.clock import Clock
from gateway.base.codec import b64url
from gateway.base.crypto import sha256
from gateway.base.errors import ErrorKind, GatewayError
from gateway.identity.claims import FUTURE_SKEW_S, ClaimError, find_instant, require_instant, require_jti, require_text
from gateway.identity.jwk import THUMBPRINT, PublicKey
from gateway.identity.jws import MAX_JWS_CHARS, JwsError, JwsKind, parse_compact
from gateway.identity.lru import LruCache
from gateway.identity.signing_key import SigningKey

TOKEN_LIFETIME_S: Final = 300
_REFUSED_ENTRIES: Final = 512
NOT_YET_VALID: Final = "not_yet_valid"
_CACHE_ENTRIES: Final = 4096
"""Verified tokens by their text: about 2 kB each, so at most some 8 MB a process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedClaims:
    """What a token of ours says, verified. ``ath`` is its hash as a proof must state it (RFC 9449 section 4.2)."""

    partner_id: str
    client_id: str
    credential: str
    scopes: frozenset[str]
    purposes: frozenset[str]
    jkt: str
    jti: str
    iat: int
    exp: int
    ath: str


class TokenIssuer:
    """Issues access tokens of one issuer for one audience, signed with one key."""

    __slots__ = ("_audience", "_clock", "_issuer", "_key", "lifetime_s")

    def __init__(
        self, issuer: str, audience: str, key: SigningKey, clock: Clock, lifetime_s: int = TOKEN_LIFETIME_S
    ) -> None:
        self._issuer: Final = issuer
        self._audience: Final = audience
        self._key: Final = key
        self._clock: Final = clock
        self.lifetime_s: Final = lifetime_s

    def issue(  # noqa: PLR0913 - the claims, each named
        self,
        *,
        partner_id: str,
        client_id: str,
        credential: str,
        scopes: Iterable[str],
        purposes: Iterable[str],
        jkt: str,
        jti: str,
    ) -> str:
        """Return a signed token. ``jti`` must be unique: 128 random bits or more."""
        now_s = self._clock.now_ms() // 1000
        claims: dict[str, Json] = {
            "iss": self._issuer,
            "sub": client_id,
            "client_id": client_id,
            "aud": self._audience,
            "iat": now_s,
            "exp": now_s + self.lifetime_s,
            "jti": jti,
            "scope": " ".join(sorted(scopes)),
            "cnf": {"jkt": jkt},
            "partner": partner_id,
            "cred": credential,
            "purposes": " ".join(sorted(purposes)),
        }
        return self._key.sign_jwt({"typ": "at+jwt", "kid": self._key.public.thumbprint}, claims)


class TokenVerifier:
    """Verifies access tokens of one issuer for one audience against the public keys of the issuer.

    A key that is not in ``keys`` does not exist: that is how a retired signing key, or the one of another installation,
    is refused.
    """

    __slots__ = ("_audience", "_cache", "_clock", "_issuer", "_keys", "_refused")

    def __init__(self, issuer: str, audience: str, keys: Iterable[PublicKey], clock: Clock) -> None:
        self._issuer: Final = issuer
        self._audience: Final = audience
        self._keys: Final = {key.thumbprint: (key, jwt.PyJWK(dict(key.jwk), key.alg.value)) for key in keys}
        self._clock: Final = clock
        self._cache: Final = LruCache[VerifiedClaims](_CACHE_ENTRIES)
        # Tokens that can never become good while this process lives, with the reason. A client that goes on sending one costs next
        # to nothing; a stranger who invents many only pushes out other strangers'.
        self._refused: Final = LruCache[str](_REFUSED_ENTRIES)

    def verify(self, token: str) -> VerifiedClaims:
        """Return the claims of a good token; otherwise raise ``GatewayError`` of kind ``INVALID_TOKEN``."""
        now_s = self._clock.now_ms() // 1000
        known = self._cache.get(token)
        if known is not None:
            if now_s < known.exp:
                return known
            self._cache.drop(token)
            raise _invalid("expired")
        refused = self._refused.get(token)
        if refused is not None:
            raise _invalid(refused)
        try:
            claims = self._read(token, now_s)
        except (JwsError, ClaimError) as exc:
            if exc.reason != NOT_YET_VALID and len(token) <= MAX_JWS_CHARS:
                self._refused.put(token, exc.reason)
            raise _invalid(exc.reason) from exc
        self._cache.put(token, claims)
        return claims

    def _read(self, token: str, now_s: int) -> VerifiedClaims:
        """Verify a token that is not known yet.

        1. strict form  2. key by ``kid``, whose algorithm decides  3. the times, on our clock, as they are claimed: what is over by
        its own word needs no signature checked  4. signature and registered claims, by the library  5. the times again, as they
        are signed, and our own claims.
        """
        # 1
        unverified = parse_compact(token, JwsKind.ACCESS_TOKEN)
        # 2
        key, library_key = self._keys.get(unverified.kid or "", (None, None))
        if key is None or library_key is None or key.alg is not unverified.alg:
            raise ClaimError("key_unknown")
        # 3
        _check_times(unverified.payload, now_s)
        # 4
        claims = self._decode(token, key, library_key)
        # 5
        exp = _check_times(claims, now_s)
        client_id = require_text(claims, "client_id")
        if claims.get("sub") != client_id:
            raise ClaimError("sub")
        return VerifiedClaims(
            partner_id=require_text(claims, "partner"),
            client_id=client_id,
            credential=_thumbprint(claims.get("cred"), "cred"),
            scopes=frozenset(require_text(claims, "scope").split(" ")),
            purposes=frozenset(require_text(claims, "purposes").split(" ")),
            jkt=_bound_key(claims),
            jti=require_jti(claims),
            iat=require_instant(claims, "iat"),
            exp=exp,
            ath=b64url(sha256(token.encode("ascii"))),
        )

    def _decode(self, token: str, key: PublicKey, library_key: jwt.PyJWK) -> Mapping[str, Json]:
        """Call the library, once in the whole tree, with nothing left to its defaults.

        Times are not its business: it reads the machine's clock, and takes strings and floats for times.
        """
        try:
            claims: dict[str, Any] = jwt.decode(  # noqa: TID251 - the one call
                token,
                key=library_key,
                algorithms=[key.alg.value],
                audience=self._audience,
                issuer=self._issuer,
                subject=None,
                leeway=0,
                options={
                    "verify_signature": True,
                    "enforce_minimum_key_length": True,
                    "require": ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "cnf"],
                    "verify_iss": True,
                    "verify_aud": True,
                    "strict_aud": True,
                    "verify_sub": True,
                    "verify_jti": True,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except Exception as exc:  # the library raises its own errors and, on odd input, others
            raise ClaimError("signature_or_claims") from exc
        return claims


def _check_times(claims: Mapping[str, Json], now_s: int) -> int:
    exp, iat, nbf = require_instant(claims, "exp"), require_instant(claims, "iat"), find_instant(claims, "nbf")
    if exp <= now_s:
        raise ClaimError("expired")
    if max(iat, nbf or 0) > now_s + FUTURE_SKEW_S:  # another worker of ours may be ahead
        raise ClaimError(NOT_YET_VALID)
    return exp


def _bound_key(claims: Mapping[str, Json]) -> str:
    """Return the thumbprint in ``cnf``; any other confirmation beside it would be one that nobody checks (D05)."""
    cnf = claims.get("cnf")
    if not isinstance(cnf, dict) or cnf.keys() != {"jkt"}:
        raise ClaimError("cnf")
    return _thumbprint(cnf["jkt"], "cnf")


def _thumbprint(value: Json, name: str) -> str:
    if not isinstance(value, str) or THUMBPRINT.fullmatch(value) is None:
        raise ClaimError(name)
    return value


def _invalid(reason: str) -> GatewayError:
    return GatewayError(ErrorKind.INVALID_TOKEN, reason=f"token_{reason}")
