"""The real gateway in the test's own event loop: real worker, real PostgreSQL, real sockets, a feed from a real publisher.

Nothing here weakens anything: settings are read as in production, with the ease that the demo environment allows (http on
loopback).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp import web
from multidict import CIMultiDictProxy

from gateway.audit.policy import Policy, parse_policy, render_policy
from gateway.base.canonical import canonical_json, parse_json_object
from gateway.base.clock import SystemClock
from gateway.base.host_keys import create_host_keys, load_host_keys
from gateway.base.settings import Settings, load_settings
from gateway.credit.feed_version import VersionKind
from gateway.identity.client import make_assertion, make_proof, token_form
from gateway.identity.key_policy import parse_submitted_key
from gateway.identity.partner import Partner, PartnerState
from gateway.identity.signing_key import SigningKey
from gateway.sandbox.city import City
from gateway.sandbox.platform import FEED, PlatformNeeds, make_platform
from gateway.sandbox.publisher import Publisher
from gateway.web.limits import HttpLimits
from gateway.web.server import start_server
from gateway.wiring import open_operator, open_worker
from gateway.wiring.log import make_checkpoint_signer
from gateway.wiring.worker import Worker
from tests.conftest import LOG_ID, ORIGIN, Database

CLEAR = "919900000000000192"
ABNORMAL = "91990000000000027W"
SERIOUS = "91990000000000035P"
DISPUTED = "91990000000000166K"
DEFAULTER = "91990000000000174E"
UNKNOWN = "91990000000000115B"
PARTIAL = "919900000000001311"
TODAY = dt.datetime.now(dt.timezone(dt.timedelta(hours=8))).date()


def free_socket() -> socket.socket:
    """Return a bound loopback socket on a free port."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    return sock


def make_settings(database: Database, folder: Path, issuer: str, **changes: str) -> Settings:
    """Return settings of a demo-environment gateway on a test database, with fresh keys in ``folder``."""
    keys = folder / "keys"
    create_host_keys(keys)
    feed_keys = folder / "feed-keys.txt"
    if not feed_keys.exists():
        feed_keys.write_text("none AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    variables = {
        "environment": "demo",
        "issuer": issuer,
        "database_dsn": database.dsn_of("gateway_api"),
        "feed_database_dsn": database.dsn_of("gateway_feed"),
        "operator_database_dsn": database.dsn_of("gateway_admin"),
        "keys_dir": str(keys),
        "log_id": str(LOG_ID),
        "log_origin": ORIGIN,
        "host_name": "gw-test",
        "feed_name": FEED,
        "feed_url": "http://127.0.0.1:9",
        "feed_keys_file": str(feed_keys),
        **changes,
    }
    return load_settings({f"GATEWAY_{name.upper()}": value for name, value in variables.items()})


def policy_of(settings: Settings) -> Policy:
    """Return the policy that trusts this gateway's log key."""
    vkey = make_checkpoint_signer(settings, load_host_keys(settings)).vkey
    return parse_policy(render_policy([vkey]).encode())


FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")


@dataclass(frozen=True)
class RawAnswer:
    """An answer as it came."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body of a JSON answer."""
        return parse_json_object(self.body)


@dataclass
class PartnerClient:
    """A partner's developer: a key, a token, and one proof for each request."""

    session: aiohttp.ClientSession
    base: str
    issuer: str
    client_id: str
    key: SigningKey
    proof_key: SigningKey = field(default_factory=SigningKey.generate)
    token: str = ""
    nonces: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The name all workers are called by, whatever port they listen on."""
        return urlsplit(self.issuer).netloc

    def at(self, base: str) -> PartnerClient:
        """Return the same client, same keys, token and nonces, talking to another worker."""
        return replace(self, base=base)

    def proof(self, method: str, path: str, **changes: Any) -> str:
        """Return a fresh proof for a request."""
        values: dict[str, Any] = {
            "method": method,
            "url": self.issuer + path,
            "now": SystemClock().now_ms(),
            "jti": secrets.token_urlsafe(16),
            "access_token": self.token or None,
            "nonce": self.nonces.get("rs"),
        }
        return make_proof(self.proof_key, **(values | changes))

    def assertion(self, **changes: Any) -> str:
        """Return a fresh client assertion."""
        values: dict[str, Any] = {
            "client_id": self.client_id,
            "issuer": self.issuer,
            "now": SystemClock().now_ms(),
            "jti": secrets.token_urlsafe(16),
        }
        return make_assertion(self.key, **(values | changes))

    async def post_token(self, form: Iterable[tuple[str, str]], proof: str | None) -> tuple[int, dict, dict]:
        """Send a token request; return status, headers, body."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Host": self.host}
        if proof is not None:
            headers["DPoP"] = proof
        body = urlencode(list(form))
        async with self.session.post(f"{self.base}/oauth2/token", data=body, headers=headers) as answer:
            if "DPoP-Nonce" in answer.headers:
                self.nonces["as"] = answer.headers["DPoP-Nonce"]
            return answer.status, dict(answer.headers), parse_json_object(await answer.read())

    async def raw(
        self, method: str, path: str, headers: Iterable[tuple[str, str]] = (), body: bytes | None = None
    ) -> RawAnswer:
        """Send a request exactly as given, doubled header fields included; nothing but ``Host`` is added."""
        sent = [("Host", self.host), *headers]
        skip = {"Content-Type", "Accept", "Accept-Encoding", "User-Agent"}
        async with self.session.request(
            method, self.base + path, data=body, headers=sent, skip_auto_headers=skip, allow_redirects=False
        ) as answer:
            return RawAnswer(answer.status, answer.headers, await answer.read())

    async def learn_nonces(self) -> None:
        """Be told the nonces of both audiences, as a refused first request tells them."""
        for audience, path in (("as", "/oauth2/token"), ("rs", "/v1/verifications")):
            token = None if audience == "as" else self.token
            headers = [("DPoP", self.proof("POST", path, access_token=token, nonce=None)), FORM]
            if audience == "rs":
                headers = [*headers[:1], JSON, ("Authorization", f"DPoP {self.token}")]
            body = urlencode(token_form(assertion=self.assertion())).encode() if audience == "as" else question()
            answer = await self.raw("POST", path, headers, body)
            self.nonces[audience] = answer.headers["DPoP-Nonce"]

    async def sign_in(self) -> str:
        """Obtain a token as a well-behaved client does: once more with the nonce that was asked for."""
        self.token = ""
        for _ in range(2):
            proof = self.proof("POST", "/oauth2/token", nonce=self.nonces.get("as"), access_token=None)
            status, _headers, body = await self.post_token(token_form(assertion=self.assertion()), proof)
            if status == 200:
                self.token = body["access_token"]
                return self.token
        msg = f"no token: {status} {body}"
        raise AssertionError(msg)

    async def send(
        self, method: str, path: str, body: bytes | None = None, *, proof: str | None = None, **headers: str
    ) -> tuple[int, dict, bytes]:
        """Send one request with a fresh (or the given) proof; on ``use_dpop_nonce`` once more with the nonce."""
        for attempt in range(2):
            sent = {
                "Host": self.host,
                "Authorization": f"DPoP {self.token}",
                "DPoP": proof or self.proof(method, path),
                **({"Content-Type": "application/json"} if body is not None else {}),
                **{name.replace("_", "-"): value for name, value in headers.items()},
            }
            async with self.session.request(method, self.base + path, data=body, headers=sent) as answer:
                content = await answer.read()
                if "DPoP-Nonce" in answer.headers:
                    self.nonces["rs"] = answer.headers["DPoP-Nonce"]
                if answer.status == 401 and b"use_dpop_nonce" in content and not attempt and proof is None:
                    continue
                return answer.status, dict(answer.headers), content
        raise AssertionError

    async def verify(self, uscc: str, **changes: Any) -> tuple[int, dict, dict]:
        """Ask about one merchant."""
        headers = changes.pop("headers", {})
        status, answer_headers, content = await self.send(
            "POST", "/v1/verifications", question(uscc, **changes), **headers
        )
        return status, answer_headers, parse_json_object(content)


def question(uscc: str | None = CLEAR, **changes: Any) -> bytes:
    """Return the body of a verification request."""
    subject = {} if uscc is None else {"uscc": uscc}
    if "name" in changes:
        subject["name"] = changes.pop("name")
    return canonical_json(
        {
            "subject": subject,
            "purpose": "onboarding",
            "business_ref": "C-1",
            "relation": "signed_merchant",
            **changes,
        }
    )


@dataclass
class Gateway:
    """A running gateway with its city."""

    settings: Settings
    database: Database
    worker: Worker
    base: str
    session: aiohttp.ClientSession
    publisher: Publisher
    policy: Policy

    async def leaves(self, first: int = 0, **wanted: object) -> list[dict[str, Any]]:
        """Return the leaves from an index on whose members are as wanted, e.g. ``partner`` or ``t``."""
        connection = await self.database.connect()
        try:
            rows = await connection.fetch(
                "SELECT leaf FROM audit.entry WHERE leaf_index >= $1 ORDER BY leaf_index", first
            )
        finally:
            await connection.close()
        leaves = [parse_json_object(row["leaf"]) for row in rows]
        return [leaf for leaf in leaves if all(leaf.get(name) == value for name, value in wanted.items())]

    async def audit_rows(self) -> dict[str, int]:
        """Return how many rows the tables of the log have."""
        tables = ("entry", "secret", "request", "batch", "idempotency")
        return {table: await self.ask(f"SELECT count(*) FROM audit.{table}") for table in tables}

    async def ask(self, sql: str, *values: object) -> Any:
        """Run one statement as the superuser; return its first value."""
        connection = await self.database.connect()
        try:
            return await connection.fetchval(sql, *values)
        finally:
            await connection.close()

    @asynccontextmanager
    async def second_worker(self) -> AsyncIterator[str]:
        """Run one more worker on the same database, keys and issuer; yield the address it listens on."""
        sock = free_socket()
        async with open_worker(self.settings, process="worker-1") as worker:
            server = await start_server(worker.front, sock, HttpLimits())
            try:
                yield f"http://127.0.0.1:{sock.getsockname()[1]}"
            finally:
                await server.drain(grace_s=0.0, finish_s=5.0)

    async def pull_feed(self, *, approve: int | None = None) -> Any:
        """Let the feed loop look once."""
        async with open_operator(self.settings) as operator:
            return await operator.feed_pull(approve=approve)

    async def publish(self, kind: VersionKind, lines: Iterable[Any]) -> None:
        """Publish a version and let the gateway apply it."""
        await asyncio.to_thread(self.publisher.publish, kind, lines)
        await self.pull_feed()

    async def partner(self, client_id: str = "partner-one", **changes: Any) -> PartnerClient:
        """Bring a partner on through the operator's way and sign it in."""
        client = await self.unsigned_partner(client_id, **changes)
        await client.sign_in()
        return client

    async def unsigned_partner(self, client_id: str = "partner-one", **changes: Any) -> PartnerClient:
        """Bring a partner on through the operator's way."""
        clock = SystemClock()
        key = changes.pop("key", None) or SigningKey.generate()
        values: dict[str, Any] = {
            "partner_id": f"prt_{secrets.token_hex(13).upper()}",
            "client_id": client_id,
            "name": "测试平台",
            "sector": "network_freight",
            "scopes": frozenset({"verifications"}),
            "purposes": frozenset({"onboarding", "risk"}),
            "state": PartnerState.ACTIVE,
        }
        async with open_operator(self.settings) as operator:
            await operator.add_partner(Partner(**(values | changes)))
            submitted = parse_submitted_key(canonical_json(dict(key.public.jwk)))
            await operator.add_key(client_id, submitted, clock.now_ms())
        return PartnerClient(self.session, self.base, self.settings.issuer, client_id, key)


@asynccontextmanager
async def running_platform(folder: Path, size: int) -> AsyncIterator[tuple[str, Publisher]]:
    """Publish a small city and serve it; yield the address and the publisher."""
    directory = folder / "platform"
    publisher = Publisher(directory, feed=FEED, clock=SystemClock())
    city = City(size=size, seed=7, today=TODAY)
    await asyncio.to_thread(publisher.publish, VersionKind.SNAPSHOT, city.lines())
    (folder / "feed-keys.txt").write_text(publisher.keys_text)
    needs = PlatformNeeds(publisher=publisher, directory=directory, city=city.lines, publishing=asyncio.Lock())
    runner = web.AppRunner(make_platform(needs), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", publisher
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running_gateway(
    database: Database, folder: Path, *, size: int = 60, fed: bool = True, **changes: str
) -> AsyncIterator[Gateway]:
    """Publish a small city, apply it (unless not ``fed``), and serve on a free loopback port."""
    sock = free_socket()
    issuer = f"http://127.0.0.1:{sock.getsockname()[1]}"
    async with running_platform(folder, size) as (feed_url, publisher):
        settings = make_settings(database, folder, issuer, feed_url=feed_url, **changes)
        async with open_worker(settings, process="worker-0") as worker, aiohttp.ClientSession() as session:
            server = await start_server(worker.front, sock, HttpLimits())
            gateway = Gateway(settings, database, worker, issuer, session, publisher, policy_of(settings))
            try:
                if fed:
                    outcome = await gateway.pull_feed()
                    assert not outcome.failed, outcome
                yield gateway
            finally:
                await session.close()
                await server.drain(grace_s=0.0, finish_s=5.0)
