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

import asyncpg

from bench import machine
from bench.corpus import Caller, compact_json, new_key, public_jwk, thumbprint
from gateway.base.clock import Millis, SystemClock
from gateway.base.host_keys import TOKEN_SIGNING, create_host_keys
from gateway.base.ids import new_id
from gateway.base.secret import Secret
from gateway.credit.identifiers import ALPHABET, check_character, name_key
from gateway.credit.record import ListEntry, Registration, RegistrationStatus, encode_value
from gateway.identity.signing_key import SigningKey
from gateway.identity.token import TokenIssuer
from gateway.postgres.embedded import EmbeddedPostgres
from gateway.postgres.migrate import ensure_log, migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

ISSUER: Final = "https://credit.bench.example"
LOG_ORIGIN: Final = "audit.bench.example/log1"
FEED: Final = "municipal"
SCOPE: Final = "verifications"
PURPOSES: Final = ("onboarding", "periodic_review", "risk", "complaint")
PARTNERS: Final = 8
LISTED_EVERY: Final = 10
"""One merchant in ten stands on a list, so that answers with flags and answers without are both in the figures."""
TOKEN_LIFETIME_S: Final = 300
LIST_CODE: Final = "SX-SAMR"


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

    def counter(self, question: str) -> Callable[[], Awaitable[int]]:
        """Return a function that asks the database for one number."""

        async def count() -> int:
            return int(await self.value(question) or 0)

        return count

    async def value(self, question: str) -> Any:
        """Return one value from the database."""
        connection = await asyncpg.connect(self.database, timeout=10)
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close(timeout=10)


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
        await _open_log(database)
        keys_folder = folder / "keys"
        create_host_keys(keys_folder)
        token_key = SigningKey.from_pem(Secret((keys_folder / TOKEN_SIGNING).read_bytes()))
        partners = tuple(_new_partner(number) for number in range(PARTNERS))
        codes = synthetic_codes(merchants)
        connection = await asyncpg.connect(database, timeout=10)
        try:
            await _register(connection, partners)
            await _load_city(connection, codes)
        finally:
            await connection.close(timeout=10)
        yield World(
            folder=folder,
            database=database,
            keys_folder=keys_folder,
            token_key=token_key,
            partners=partners,
            expected={code: _expected(number) for number, code in enumerate(codes)},
            loaded_at=dt.datetime.now(dt.UTC),
            postgres=server,
        )


def synthetic_codes(count: int) -> list[str]:
    """Return unified social credit codes with right check characters (department 9, enterprises, a division of no city)."""
    codes = []
    for number in range(count):
        body = f"{number:08d}"
        weights = (3, 7, 9, 10, 5, 8, 4, 2)
        check = 11 - sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True)) % 11
        first17 = f"91990000{body}{'X' if check == 10 else 0 if check == 11 else check}"
        codes.append(first17 + check_character(first17))
    if not all(character in ALPHABET for code in codes for character in code):
        msg = "a synthetic code is not one"
        raise ValueError(msg)
    return codes


def _expected(number: int) -> str:
    return "restricted" if number % LISTED_EVERY == 0 else "clear"


async def _open_log(database: str) -> None:
    connection = await asyncpg.connect(database, timeout=10)
    try:
        await ensure_log(connection, 1, LOG_ORIGIN)
    finally:
        await connection.close(timeout=10)


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


async def _register(connection: asyncpg.Connection, partners: Sequence[Partner]) -> None:
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


async def _load_city(connection: asyncpg.Connection, codes: Sequence[str]) -> None:
    """Fill slot 0 of the replica as an applied feed version would."""
    today = dt.datetime.now(dt.UTC).date()
    subjects = []
    records = []
    for number, code in enumerate(codes):
        name = f"合成市第{number:06d}号商贸有限公司"
        firm = Registration(uscc=code, name=name, status=RegistrationStatus.ACTIVE, established=dt.date(2019, 5, 6))
        subjects.append((0, code, None, name, name_key(name), encode_value(firm)))
        if _expected(number) == "restricted":
            entry = _list_entry(number, code, name, today)
            records.append((0, entry.record_id, code, "list_entry", encode_value(entry)))
    columns = ["slot", "uscc", "reg_no", "name", "name_key", "body"]
    await connection.copy_records_to_table("subject", schema_name="replica", records=subjects, columns=columns)
    columns = ["slot", "record_id", "subject_key", "kind", "body"]
    await connection.copy_records_to_table("record", schema_name="replica", records=records, columns=columns)
    now = time.time_ns() // 1_000_000
    await connection.execute(
        "INSERT INTO replica.feed_head (feed, slot, version, manifest_sha256, as_of_ms, record_count, applied_ms)"
        " VALUES ($4, 0, 1, $1, $2, $3, $2)",
        bytes(32), now, len(subjects) + len(records), FEED,
    )  # fmt: skip
    await connection.execute("ANALYZE")


def _list_entry(number: int, code: str, name: str, today: dt.date) -> ListEntry:
    return ListEntry(
        record_id=f"LE-{number:010d}",
        list_code=LIST_CODE,
        name=name,
        document_no=f"合市监列异〔2026〕{number}号",
        decided_on=today - dt.timedelta(days=90),
        published_on=today - dt.timedelta(days=88),
        authority="合成市市场监督管理局",
        authority_code="11990000MB0000001X",
        uscc=code,
        grounds="通过登记的住所或者经营场所无法联系",
    )


def write_json(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
    return path
