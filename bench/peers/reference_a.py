"""Reference A: the same promise built the usual way. FastAPI, joserfc (of the Authlib project), SQLAlchemy on asyncpg.

One request: verify the access token, verify the proof of possession, look the merchant up, insert the proof's id and one audit
row, COMMIT, answer. Same key types, same durability (fsync, synchronous commit), one uvicorn process with uvloop and, where
installed, httptools. It does less than the gateway: no hash tree, no receipt, no sealed plaintext, no effective-dated rules.

    python -m bench.peers.reference_a --core 0 --setup setup.json
"""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import hashlib
import json
import socket
import time
import uuid
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from pydantic import BaseModel
from sqlalchemy import JSON, BigInteger, DateTime, String, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from bench import machine, processes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PROOF_AGE_S: Final = 300
POOL: Final = 20


class Base(DeclarativeBase):
    pass


class Merchant(Base):
    __tablename__ = "merchant"
    __table_args__ = {"schema": "reference_a"}  # noqa: RUF012 - SQLAlchemy's own form

    uscc: Mapped[str] = mapped_column(String(18), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    flags: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    as_of: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


class UsedProof(Base):
    __tablename__ = "used_proof"
    __table_args__ = {"schema": "reference_a"}  # noqa: RUF012 - SQLAlchemy's own form

    proof_id: Mapped[str] = mapped_column(String(120), primary_key=True)
    seen_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


class AuditRow(Base):
    __tablename__ = "audit_row"
    __table_args__ = {"schema": "reference_a"}  # noqa: RUF012 - SQLAlchemy's own form

    row_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    partner: Mapped[str] = mapped_column(String(40), index=True)
    uscc: Mapped[str] = mapped_column(String(18), index=True)
    purpose: Mapped[str] = mapped_column(String(40))
    answer: Mapped[dict[str, Any]] = mapped_column(JSON)


class Subject(BaseModel):
    uscc: str
    name: str | None = None


class Question(BaseModel):
    subject: Subject
    purpose: Literal["onboarding", "periodic_review", "risk", "complaint"]
    business_ref: str
    relation: Literal["signed_merchant", "other_participant"]


class Answer(BaseModel):
    id: str
    outcome: Literal["clear", "restricted", "unknown_subject"]
    subject: Subject
    as_of: dt.datetime
    flags: list[dict[str, Any]]
    reasons: list[str]


class Setup(BaseModel):
    """What the harness tells this service."""

    database: str
    issuer: str
    token_key: dict[str, str | list[str]]


class Service:
    """The application's state and its one operation."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._token_key = ECKey.import_key(setup.token_key)
        url = setup.database.replace("postgresql://", "postgresql+asyncpg://", 1)
        self._engine = create_async_engine(url, pool_size=POOL, max_overflow=0)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)
        self._token_rules = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": setup.issuer},
            aud={"essential": True, "value": setup.issuer},
            exp={"essential": True},
        )

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        yield
        await self._engine.dispose()

    async def session(self) -> AsyncIterator[AsyncSession]:
        async with self._sessions() as session:
            yield session

    async def caller(self, authorization: Annotated[str, Header()], dpop: Annotated[str, Header()]) -> dict[str, Any]:
        """Verify token and proof; return the token's claims with the proof's id."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "dpop":
            raise HTTPException(401, "DPoP token expected")
        try:
            claims = jwt.decode(token, self._token_key, algorithms=["ES256"]).claims
            self._token_rules.validate(claims)
            proof_key = ECKey.import_key(jws.extract_compact(dpop.encode("ascii")).headers()["jwk"])
            proof = jwt.decode(dpop, proof_key, algorithms=["ES256"]).claims
        except (JoseError, KeyError, ValueError) as exc:
            raise HTTPException(401, "token or proof refused") from exc
        ath = base64.urlsafe_b64encode(hashlib.sha256(token.encode("ascii")).digest()).rstrip(b"=").decode("ascii")
        good = (
            proof.get("htm") == "POST"
            and proof.get("htu") == f"{self._setup.issuer}/v1/verifications"
            and proof.get("ath") == ath
            and claims.get("cnf", {}).get("jkt") == proof_key.thumbprint()
            and abs(time.time() - proof.get("iat", 0)) < PROOF_AGE_S
        )
        if not good:
            raise HTTPException(401, "proof does not fit")
        return {**claims, "proof_id": f"{claims['cnf']['jkt']}.{proof['jti']}"}

    async def verify(self, question: Question, caller: dict[str, Any], session: AsyncSession) -> Answer:
        """Look up, decide, store the audit row, commit, answer."""
        merchant = await session.get(Merchant, question.subject.uscc)
        now = dt.datetime.now(dt.UTC)
        answer = Answer(
            id=f"ver_{uuid.uuid4().hex}",
            outcome="unknown_subject" if merchant is None else "restricted" if merchant.flags else "clear",
            subject=Subject(uscc=question.subject.uscc, name=None if merchant is None else merchant.name),
            as_of=now if merchant is None else merchant.as_of,
            flags=[] if merchant is None else merchant.flags,
            reasons=[],
        )
        session.add(UsedProof(proof_id=caller["proof_id"], seen_at=now))
        session.add(
            AuditRow(
                at=now,
                partner=caller["partner"],
                uscc=question.subject.uscc,
                purpose=question.purpose,
                answer=answer.model_dump(mode="json"),
            )
        )
        try:
            await session.commit()
        except IntegrityError as exc:
            raise HTTPException(401, "proof used before") from exc
        return answer


def build(setup: Setup) -> FastAPI:
    service = Service(setup)
    app = FastAPI(lifespan=service.lifespan)

    @app.post("/v1/verifications")
    async def verify(
        question: Question,
        caller: dict[str, Any] = Depends(service.caller),  # noqa: B008, FAST002 - resolved here, where `service` is known
        session: AsyncSession = Depends(service.session),  # noqa: B008, FAST002 - resolved here, where `service` is known
    ) -> Answer:
        return await service.verify(question, caller, session)

    return app


async def create_tables(database: str, merchants: list[dict[str, Any]]) -> None:
    """Make the tables and fill in the merchants; called by the harness once a run."""
    engine = create_async_engine(database.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS reference_a")
        await connection.run_sync(Base.metadata.create_all)
        await connection.execute(insert(Merchant), merchants)
    await engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--setup", type=Path, required=True)
    options = parser.parse_args()
    machine.pin(options.core)
    setup = Setup.model_validate(json.loads(options.setup.read_text(encoding="utf-8")))
    server = uvicorn.Server(uvicorn.Config(build(setup), access_log=False, log_level="warning", loop="uvloop"))
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    processes.announce(listening.getsockname()[1])
    server.run(sockets=[listening])


if __name__ == "__main__":
    main()
