"""Proofs of possession (DPoP): each request is signed with the key its token is bound to.

For: the token endpoint and every resource. HOT: with a warm cache the curve is nearly the only cost.
Not for: whether the proof was used before; the audit commit decides that by the claim of the result.
Source: RFC 9449 sections 4.2, 4.3, 7.1, 8, 9 and 11. Statements D1 to D18, table C.

Checks that cost nothing come first and the signature last, so that a flood of junk is cheap. Parsing and the signature are apart
because the token endpoint puts client authentication between them, and resources check the signatures of many requests in a row.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gateway.base.canonical import Json
from gateway.base.clock import Clock, Millis
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.onetime import OneTimeId, one_time_id
from gateway.identity.claims import FUTURE_SKEW_S, ClaimError, find_instant, require_instant, require_jti
from gateway.identity.htu import AddressMatcher
from gateway.identity.jwk import ALGORITHM_NAMES, JwkError, PublicKey, parse_public_jwk
from gateway.identity.jws import JwsError, JwsKind, parse_header, parse_object, parse_segment, split_compact
from gateway.identity.lru import LruCache
from gateway.identity.nonce import NonceIssuer, NonceVerdict
from gateway.identity.token import VerifiedClaims

MAX_PROOF_AGE_S: Final = 300
"""Oldest ``iat`` we accept, with a nonce too: the day in ``iat`` chooses the partition that remembers the proof."""
_PROVEN_KEYS: Final = 4096
"""Keys by header segment: a few kB each at the most, so at most some 10 MB."""
_BOUND_KEYS: Final = 256
"""More than the tokens that are new at one moment."""


class UnverifiedProof(msgspec.Struct, frozen=True, kw_only=True):
    """A proof that says the right things about this request, but whose signature nobody has checked yet.

    ``nonce_fresh`` is false if the answer should carry a newer nonce in ``DPoP-Nonce``.
    """

    key: PublicKey
    jti: str
    iat: int
    nonce_fresh: bool
    protected: str
    signing_input: bytes
    signature: bytes


class VerifiedProof(msgspec.Struct, frozen=True, kw_only=True):
    """The sender holds the key ``jkt``, if the claim proves unused."""

    jkt: str
    jti: str
    iat: int
    claim: OneTimeId


class ProofVerifier:
    """Verifies proofs for addresses under one public origin. ``nonces`` None: no nonce is asked for."""

    __slots__ = ("_addresses", "_bound", "_clock", "_nonces", "_proven")

    def __init__(self, origin: str, nonces: NonceIssuer | None, clock: Clock) -> None:
        self._addresses: Final = AddressMatcher(origin)
        self._nonces: Final = nonces
        self._clock: Final = clock
        # Parsed keys, from the text of the header. A key takes room once it has signed; one that a token of ours is bound to has a
        # small room of its own before that, where those who hold a token but not its key only push each other out.
        self._proven: Final = LruCache[PublicKey](_PROVEN_KEYS)
        self._bound: Final = LruCache[PublicKey](_BOUND_KEYS)

    def fresh_nonce(self) -> str | None:
        """Return the value for ``DPoP-Nonce`` now, or None if nonces are off."""
        return None if self._nonces is None else self._nonces.issue(self._clock.now_ms())

    def parse(self, values: Sequence[str], *, method: str, path: str, token: VerifiedClaims | None) -> UnverifiedProof:
        """Check everything but the signature of the one ``DPoP`` header value of a request.

        ``values`` are all values of that header as received, ``path`` the raw path of the request line without query,
        ``token`` the verified access token (None only at the token endpoint). Raises ``GatewayError`` of kind
        ``INVALID_DPOP_PROOF``, ``USE_DPOP_NONCE`` or, when another key than the token's signed, ``INVALID_TOKEN``.

        1. exactly one value  2. form and header  3. method and address  4. binding to the token  5. times  6. nonce.
        """
        # 1
        text = _only_value(values)
        try:
            # 2
            protected, payload, signature = split_compact(text)
            key = self._proven.get(protected) or self._bound.get(protected)
            is_known = key is not None
            key = key or _parse_key(protected)
            claims = parse_object(payload)
            jti = require_jti(claims)
            # 3
            self._check_request(claims, method, path)
            # 4
            if token is not None:
                _check_binding(claims, key, token)
                if not is_known:
                    self._bound.put(protected, key)
            # 5
            now = self._clock.now_ms()
            iat = _check_times(claims, now // 1000)
            # 6
            fresh = self._check_nonce(claims, now)
            return UnverifiedProof(
                key=key,
                jti=jti,
                iat=iat,
                nonce_fresh=fresh,
                protected=protected,
                signing_input=text[: len(protected) + 1 + len(payload)].encode("ascii"),
                signature=parse_segment(signature),
            )
        except (JwsError, JwkError, ClaimError) as exc:
            raise _invalid(exc.reason) from exc

    def verify_signature(self, unverified: UnverifiedProof) -> VerifiedProof:
        """Check the signature of a parsed proof; raises ``GatewayError`` of kind ``INVALID_DPOP_PROOF``."""
        proof = self.find_holder(unverified)
        if proof is None:
            raise refuse_signature()
        return proof

    def find_holder(self, unverified: UnverifiedProof) -> VerifiedProof | None:
        """Check the signature of a parsed proof; None if it does not verify. For signatures in a row, where raising costs more."""
        key = unverified.key
        if not key.verifies(unverified.signature, unverified.signing_input):
            return None
        self._proven.put(unverified.protected, key)
        claim = one_time_id(kind="dpop", holder=key.thumbprint, jti=unverified.jti, signed_time_s=unverified.iat)
        return VerifiedProof(
            jkt=key.thumbprint,
            jti=unverified.jti,
            iat=unverified.iat,
            claim=claim,
        )

    def _check_request(self, claims: Mapping[str, Json], method: str, path: str) -> None:
        if claims.get("htm") != method:
            raise ClaimError("htm")
        htu = claims.get("htu")
        if not isinstance(htu, str) or not self._addresses.matches(htu, path):
            raise ClaimError("htu")

    def _check_nonce(self, claims: Mapping[str, Json], now: Millis) -> bool:
        if self._nonces is None:
            return True
        verdict = self._nonces.judge(claims.get("nonce"), now)
        if verdict is NonceVerdict.REFUSED:
            reason = "nonce_refused" if "nonce" in claims else "nonce_missing"
            raise GatewayError(ErrorKind.USE_DPOP_NONCE, reason=reason)
        return verdict is NonceVerdict.FRESH


def _only_value(values: Sequence[str]) -> str:
    if not values:
        raise _invalid("missing")
    if len(values) > 1 or "," in values[0]:  # a proxy may have joined two fields with a comma
        raise _invalid("repeated")
    return values[0]


def _parse_key(protected: str) -> PublicKey:
    header = parse_header(protected, JwsKind.DPOP_PROOF)
    jwk = header.get("jwk")
    if not isinstance(jwk, dict):
        raise JwsError("jwk")
    alg = header["alg"]
    return parse_public_jwk(jwk, alg=ALGORITHM_NAMES[alg] if isinstance(alg, str) else None)


def _check_binding(claims: Mapping[str, Json], key: PublicKey, token: VerifiedClaims) -> None:
    """Check that the proof is for this token and the token for this key (RFC 9449 section 4.3, check 12)."""
    ath = claims.get("ath")
    if not isinstance(ath, str) or not ath.isascii() or not hmac.compare_digest(ath, token.ath):
        raise ClaimError("ath")
    if not hmac.compare_digest(key.thumbprint, token.jkt):
        raise GatewayError(ErrorKind.INVALID_TOKEN, reason="token_bound_to_other_key")


def _check_times(claims: Mapping[str, Json], now_s: int) -> int:
    iat = require_instant(claims, "iat")
    if not now_s - MAX_PROOF_AGE_S <= iat <= now_s + FUTURE_SKEW_S:
        raise ClaimError("iat_window")
    nbf, exp = find_instant(claims, "nbf"), find_instant(claims, "exp")
    if nbf is not None and nbf > now_s + FUTURE_SKEW_S:
        raise ClaimError("not_yet_valid")
    if exp is not None and exp <= now_s:
        raise ClaimError("expired")
    return iat


def refuse_signature() -> GatewayError:
    """Return the refusal of a proof whose signature does not verify."""
    return _invalid("signature")


def _invalid(reason: str) -> GatewayError:
    return GatewayError(ErrorKind.INVALID_DPOP_PROOF, reason=f"proof_{reason}")
