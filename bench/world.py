"""What every server under test stands on: one PostgreSQL, one set of keys, partners with tokens, a city of merchants.

PostgreSQL is the embedded one with its durability untouched (fsync, synchronous commit, full page writes), on the core that
the service does not use. Tokens are minted here with the gateway's own signing key, so that every level and peer reads the
same ones; the token endpoint has no part in the figures.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench import machine
from bench.city import FEED, expected_outcome, load_city, synthetic_codes
from bench.corpus import Caller, compact_json, new_key, public_jwk, thumbprint
from bench.database import connected, counter
from gateway.base.clock import Millis, SystemClock
from gateway.base.host_keys import TOKEN_SIGNING, create_host_keys
from gateway.base.ids import new_id
from gateway.base.secret import Secret
from gateway.identity.signing_key import SigningKey
from gateway.identity.token import TokenIssuer
from gateway.postgres.embedded import EmbeddedPostgres
from gateway.postgres.migrate import ensure_log, migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from bench.database import CountRows

ISSUER: Final = "https://credit.bench.example"
LOG_ORIGIN: Final = "audit.bench.example/log1"
SCOPE: Final = "verifications"
PURPOSES: Final = ("onboarding", "periodic_review", "risk", "complaint")
PARTNERS: Final = 8
TOKEN_LIFETIME_S: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A registered partner with the two keys of its program."""

    partner_id: str
    client_id: str
    credential: dict[str, str]
    proof_key: ec.EllipticCurvePrivateKey
    proof_key_pem: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The ground of a run. ``expected`` says the outcome that each code must be answered with."""

    folder: Path
    database: str
    keys_folder: Path
    token_key: SigningKey
    partners: tuple[Partner, ...]
    expected: dict[str, str]
    loaded_at: dt.datetime
    postgres: EmbeddedPostgres

    def callers(self, lifetime_s: int = TOKEN_LIFETIME_S) -> list[Caller]:
        """Return every partner's program with a fresh token; a negative lifetime makes tokens that have expired."""
        return [
            Caller(proof_key_pem=partner.proof_key_pem, token=mint(self.token_key, partner, lifetime_s))
            for partner in self.partners
        ]

    def strangers(self) -> list[Caller]:
        """Return callers whose tokens are signed by a key that the gateway does not know."""
        foreign = SigningKey.generate()
        return [
            Caller(proof_key_pem=partner.proof_key_pem, token=mint(foreign, partner, TOKEN_LIFETIME_S))
            for partner in self.partners
        ]

    def setup_file(self) -> Path:
        """Write the settings of a worker, as its environment variables, and return where.

        The feed process is no part of a run, so its address and keys are named but never used.
        """
        setup = {
            "GATEWAY_ENVIRONMENT": "demo",
            "GATEWAY_ISSUER": ISSUER,
            "GATEWAY_DATABASE_DSN": self.database,
            "GATEWAY_KEYS_DIR": str(self.keys_folder),
            "GATEWAY_LOG_ORIGIN": LOG_ORIGIN,
            "GATEWAY_HOST_NAME": "bench",
            "GATEWAY_FEED_URL": "http://127.0.0.1:9/",
            "GATEWAY_FEED_KEYS_FILE": str(self.folder / "feed-keys.json"),
            "GATEWAY_FEED_NAME": FEED,
        }
        return write_json(self.folder / "setup.json", setup)

    def counter(self, question: str) -> CountRows:
        """Return a function that asks the database for one number."""
        return counter(self.database, question)


def mint(key: SigningKey, partner: Partner, lifetime_s: int) -> str:
    """Return an access token as the token endpoint issues it, bound to the partner's proof key."""
    issuer = TokenIssuer(ISSUER, ISSUER, key, SystemClock(), lifetime_s)
    return issuer.issue(
        partner_id=partner.partner_id,
        client_id=partner.client_id,
        credential=thumbprint(partner.credential),
        scopes=(SCOPE,),
        purposes=PURPOSES,
        jkt=thumbprint(public_jwk(partner.proof_key.public_key())),
        jti=secrets.token_urlsafe(16),
    )


@contextlib.asynccontextmanager
async def open_world(folder: Path, cores: machine.Cores, merchants: int) -> AsyncIterator[World]:
    """Start PostgreSQL, migrate, register the partners, load the city; take all of it down at the end."""
    async with EmbeddedPostgres(folder / "postgres") as server:
        for pid in machine.family(server.pid):
            machine.pin(cores.other, pid)
        await server.create_database("bench")
        database = server.dsn("bench")
        await migrate(database)
        keys_folder = folder / "keys"
        create_host_keys(keys_folder)
        token_key = SigningKey.from_pem(Secret((keys_folder / TOKEN_SIGNING).read_bytes()))
        partners = tuple(_new_partner(number) for number in range(PARTNERS))
        codes = synthetic_codes(merchants)
        async with connected(database) as connection:
            await ensure_log(connection, 1, LOG_ORIGIN)
            await _register(connection, partners)
            await load_city(connection, codes)
        yield World(
            folder=folder,
            database=database,
            keys_folder=keys_folder,
            token_key=token_key,
            partners=partners,
            expected={code: expected_outcome(number) for number, code in enumerate(codes)},
            loaded_at=dt.datetime.now(dt.UTC),
            postgres=server,
        )


def _new_partner(number: int) -> Partner:
    registered, _ = new_key()
    proof_key, pem = new_key()
    return Partner(
        partner_id=new_id("prt", Millis(time.time_ns() // 1_000_000)),
        client_id=f"bench-partner-{number}",
        credential=public_jwk(registered.public_key()),
        proof_key=proof_key,
        proof_key_pem=pem,
    )


async def _register(connection: Any, partners: Sequence[Partner]) -> None:
    now = time.time_ns() // 1_000_000
    for partner in partners:
        await connection.execute(
            "INSERT INTO identity.partner (partner_id, client_id, name, sector, scopes, purposes, state, created_ms)"
            " VALUES ($1, $2, $3, 'network_freight', $4, $5, 'active', $6)",
            partner.partner_id, partner.client_id, f"Bench {partner.client_id}", [SCOPE], list(PURPOSES), now,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO identity.partner_key"
            " (thumbprint, partner_id, kid, alg, jwk, purpose, state, not_before_ms, created_ms)"
            " VALUES ($1, $2, 'k1', 'ES256', $3, 'client-auth', 'active', $4, $4)",
            thumbprint(partner.credential), partner.partner_id, compact_json(partner.credential).decode("ascii"), now,
        )  # fmt: skip


def write_json(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
    return path
