"""Ready-made keys, clocks, assertions, proofs and ports; a test names only what it is about."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jwt

from gateway.base.clock import Millis
from gateway.base.onetime import OneTimeId
from gateway.base.secret import Secret
from gateway.identity.assertion import ASSERTION_TYPE
from gateway.identity.client import token_hash
from gateway.identity.jwk import Algorithm
from gateway.identity.nonce import NonceAudience, NonceIssuer
from gateway.identity.partner import (
    KeyPurpose,
    KeyState,
    Partner,
    PartnerState,
    RegisteredKey,
    StoredClient,
    StoredKey,
)
from gateway.identity.ports import CredentialRevoked, Replayed, TokenIssue, TokenRefusal, Unregistered
from gateway.identity.proof import ProofVerifier, VerifiedProof
from gateway.identity.signing_key import SigningKey
from gateway.identity.token import TokenIssuer, TokenVerifier, VerifiedClaims
from gateway.identity.token_grant import GrantToken, TokenRequest

ORIGIN = "https://gateway.example"
NOW_S = 1_795_334_400  # 2026-11-22T08:00:00Z
NOW = Millis(NOW_S * 1000)
PATH = "/v1/verifications"
TOKEN_PATH = "/oauth2/token"
JTI = "jti-0123456789abcdef"
CLIENT_ID = "partner-one"
PARTNER_ID = "prt_01K9Z3N4P5Q6R7S8T9V0W1X2Y3"
NONCE_SECRET = Secret(bytes(range(32)))

KEY = SigningKey.generate(Algorithm.ES256)
OTHER_KEY = SigningKey.generate(Algorithm.ES256)
PROOF_KEY = SigningKey.generate(Algorithm.ES256)
SERVER_KEY = SigningKey.generate(Algorithm.ES256)
RSA_KEY = SigningKey.generate(Algorithm.PS256)
ED_KEY = SigningKey.generate(Algorithm.EDDSA)


class FakeClock:
    """A clock that stands where it is put."""

    def __init__(self, now: int = NOW) -> None:
        self.now = Millis(now)

    def now_ms(self) -> Millis:
        return self.now

    def advance(self, seconds: int) -> None:
        self.now = Millis(self.now + seconds * 1000)


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def segment(value: object) -> str:
    """Encode a JSON value; bytes and text are taken as they are, so that a test can write any nonsense."""
    if isinstance(value, bytes):
        return b64url(value)
    return b64url(value.encode() if isinstance(value, str) else json.dumps(value).encode())


def sign(key: SigningKey, header: object, payload: object) -> str:
    """Sign any header and payload, however wrong, with the key's own algorithm."""
    signing_input = f"{segment(header)}.{segment(payload)}"
    algorithm = jwt.get_algorithm_by_name(key.alg.value)
    return f"{signing_input}.{b64url(algorithm.sign(signing_input.encode(), key._private))}"


def without(members: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in names}


# assertions ---------------------------------------------------------------------------------------------------------


def assertion_header(key: SigningKey = KEY, **changes: Any) -> dict[str, Any]:
    return {"alg": key.alg.value, "kid": key.public.thumbprint, **changes}


def assertion_claims(**changes: Any) -> dict[str, Any]:
    claims = {
        "iss": CLIENT_ID,
        "sub": CLIENT_ID,
        "aud": ORIGIN,
        "iat": NOW_S,
        "exp": NOW_S + 60,
        "jti": JTI,
    }
    return {**claims, **changes}


def make_assertion(key: SigningKey = KEY, **changes: Any) -> str:
    return sign(key, assertion_header(key), assertion_claims(**changes))


def make_key(key: SigningKey = KEY, **changes: Any) -> RegisteredKey:
    values: dict[str, Any] = {
        "kid": key.public.thumbprint,
        "key": key.public,
        "purpose": KeyPurpose.CLIENT_AUTH,
        "state": KeyState.ACTIVE,
        "not_before_ms": Millis(0),
        "created_ms": Millis(0),
    }
    return RegisteredKey(**{**values, **changes})


def make_partner(**changes: Any) -> Partner:
    values: dict[str, Any] = {
        "partner_id": PARTNER_ID,
        "client_id": CLIENT_ID,
        "name": "Partner One",
        "sector": "network-freight",
        "scopes": frozenset({"verifications"}),
        "purposes": frozenset({"onboarding"}),
        "state": PartnerState.ACTIVE,
    }
    return Partner(**{**values, **changes})


def make_client(*keys: RegisteredKey, **changes: Any) -> StoredClient:
    """A client as the directory gives it, its keys not read yet."""
    return StoredClient(partner=make_partner(**changes), keys=tuple(map(stored, keys or (make_key(),))))


def stored(key: RegisteredKey) -> StoredKey:
    """A key as it is kept."""
    return StoredKey(
        kid=key.kid,
        alg=key.key.alg,
        jwk=json.dumps(dict(key.key.jwk)),
        purpose=key.purpose,
        state=key.state,
        not_before_ms=key.not_before_ms,
        created_ms=key.created_ms,
        retire_at_ms=key.retire_at_ms,
        revoked_ms=key.revoked_ms,
    )


# proofs and tokens --------------------------------------------------------------------------------------------------


def proof_header(key: SigningKey = PROOF_KEY, **changes: Any) -> dict[str, Any]:
    return {"typ": "dpop+jwt", "alg": key.alg.value, "jwk": dict(key.public.jwk), **changes}


def proof_claims(**changes: Any) -> dict[str, Any]:
    claims = {"jti": JTI, "htm": "POST", "htu": ORIGIN + PATH, "iat": NOW_S}
    return {**claims, **changes}


def make_claims(key: SigningKey = PROOF_KEY, token: str = "the-token") -> VerifiedClaims:
    return VerifiedClaims(
        partner_id=PARTNER_ID,
        client_id=CLIENT_ID,
        credential=KEY.public.thumbprint,
        scopes=frozenset({"verifications"}),
        purposes=frozenset({"onboarding"}),
        jkt=key.public.thumbprint,
        jti=JTI,
        iat=NOW_S,
        exp=NOW_S + 300,
        ath=token_hash(token),
    )


def make_nonces(audience: NonceAudience = NonceAudience.RESOURCES, secret: Secret = NONCE_SECRET) -> NonceIssuer:
    return NonceIssuer([secret], audience)


def make_verifier(nonces: NonceIssuer | None = None, clock: FakeClock | None = None) -> ProofVerifier:
    return ProofVerifier(ORIGIN, nonces, clock or FakeClock())


def verify_proof(
    verifier: ProofVerifier, values: Sequence[str], *, method: str, path: str, token: VerifiedClaims | None
) -> VerifiedProof:
    """Verify a proof as the edges do: everything else first, the signature last."""
    return verifier.verify_signature(verifier.parse(values, method=method, path=path, token=token))


def make_issuer(key: SigningKey = SERVER_KEY, clock: FakeClock | None = None) -> TokenIssuer:
    return TokenIssuer(ORIGIN, ORIGIN, key, clock or FakeClock())


def make_token_verifier(clock: FakeClock | None = None, key: SigningKey = SERVER_KEY) -> TokenVerifier:
    return TokenVerifier(ORIGIN, ORIGIN, [key.public], clock or FakeClock())


def token_header(**changes: Any) -> dict[str, Any]:
    return {"typ": "at+jwt", "alg": "ES256", "kid": SERVER_KEY.public.thumbprint, **changes}


def token_claims(**changes: Any) -> dict[str, Any]:
    claims = {
        "iss": ORIGIN,
        "sub": CLIENT_ID,
        "client_id": CLIENT_ID,
        "aud": ORIGIN,
        "iat": NOW_S,
        "exp": NOW_S + 300,
        "jti": JTI,
        "scope": "verifications",
        "cnf": {"jkt": PROOF_KEY.public.thumbprint},
        "partner": PARTNER_ID,
        "purposes": "onboarding",
        "cred": KEY.public.thumbprint,
    }
    return {**claims, **changes}


# the token endpoint -------------------------------------------------------------------------------------------------


@dataclass
class FakeDirectory:
    """The clients of a test."""

    clients: dict[str, StoredClient] = field(default_factory=lambda: {CLIENT_ID: make_client()})

    async def find_client(self, client_id: str, _kid: str | None) -> StoredClient | None:
        return self.clients.get(client_id)


@dataclass
class FakeRegistrations:
    """A log that bears out every row, but for the keys named in ``unregistered``; remembers what it was asked."""

    unregistered: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    async def require(self, partner: Partner, key: RegisteredKey) -> None:
        assert partner.state is PartnerState.ACTIVE, "asked only about who authenticated"
        self.asked.append(key.thumbprint)
        if key.thumbprint in self.unregistered:
            raise Unregistered


@dataclass
class FakeLedger:
    """Claims ids once, like the audit commit; refuses keys named in ``revoked``."""

    revoked: set[str] = field(default_factory=set)
    used: set[OneTimeId] = field(default_factory=set)
    issues: list[TokenIssue] = field(default_factory=list)
    refusals: list[TokenRefusal] = field(default_factory=list)

    async def record_issue(self, issue: TokenIssue) -> None:
        if issue.credential in self.revoked:
            raise CredentialRevoked
        claims = {issue.assertion_claim, issue.proof_claim}
        if again := claims & self.used:
            raise Replayed(frozenset(claim.digest for claim in again))
        self.used |= claims
        self.issues.append(issue)

    async def record_refusal(self, refusal: TokenRefusal) -> None:
        if refusal.credential in self.revoked:
            raise CredentialRevoked
        claim = refusal.assertion_claim
        if claim is not None and claim in self.used:
            raise Replayed(frozenset({claim.digest}))
        self.used |= {claim} - {None}
        self.refusals.append(refusal)


@dataclass
class Endpoint:
    """A token endpoint with everything it is made of."""

    clock: FakeClock = field(default_factory=FakeClock)
    directory: FakeDirectory = field(default_factory=FakeDirectory)
    registrations: FakeRegistrations = field(default_factory=FakeRegistrations)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    nonces: NonceIssuer | None = None

    def __post_init__(self) -> None:
        self.grant = GrantToken(
            issuer=ORIGIN,
            audience=ORIGIN,
            directory=self.directory,
            registrations=self.registrations,
            ledger=self.ledger,
            proofs=ProofVerifier(ORIGIN, self.nonces, self.clock),
            tokens=TokenIssuer(ORIGIN, ORIGIN, SERVER_KEY, self.clock),
            clock=self.clock,
        )


def token_proof(key: SigningKey = PROOF_KEY, **changes: Any) -> str:
    return sign(key, proof_header(key), proof_claims(htu=ORIGIN + TOKEN_PATH, **changes))


def make_form(**changes: str | None) -> list[tuple[str, str]]:
    """A good form; a change to None leaves the parameter out."""
    form: dict[str, str | None] = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": make_assertion(),
        **changes,
    }
    return [(name, value) for name, value in form.items() if value is not None]


def make_request(**changes: Any) -> TokenRequest:
    values: dict[str, Any] = {
        "request_id": "req_1",
        "request_hash": bytes(32),
        "path": TOKEN_PATH,
        "has_query": False,
        "parameters": make_form(),
        "authorization": [],
        "dpop": [token_proof()],
    }
    return TokenRequest(**{**values, **changes})
