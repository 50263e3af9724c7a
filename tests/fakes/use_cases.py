"""The use cases as the HTTP edge sees them, in memory, and a gateway of them on a loopback socket.

Authentication is real (keys made here); what lies behind the edge is a list that a test reads, or an error that a test sets.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec

from gateway.api.edge import Observers, accepted_hosts, partner_front
from gateway.api.needs import Needs
from gateway.api.openapi_parts import EXAMPLE_ANSWER, EXAMPLE_RECEIPT
from gateway.api.strangers import TOKEN_BODY_BYTES, StrangerBounds
from gateway.base.clock import Millis
from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.onetime import OneTimeId
from gateway.base.secret import Secret
from gateway.credit.facts import SourceState
from gateway.identity.client import make_assertion, make_proof, token_form
from gateway.identity.metadata import render_jwks, render_metadata
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
from gateway.identity.ports import Replayed, TokenIssue, TokenRefusal
from gateway.identity.proof import ProofVerifier
from gateway.identity.signing_key import SigningKey
from gateway.identity.token import TokenIssuer, TokenVerifier
from gateway.identity.token_grant import GrantToken
from gateway.verification.call import Call
from gateway.verification.question import Question
from gateway.verification.read_back import Proven
from gateway.web.authenticate import Authenticator
from gateway.web.body import BodyLimits
from gateway.web.lane import BodyRoom, Lane
from gateway.web.limits import HttpLimits
from gateway.web.middleware import Front, FrontPolicy
from gateway.web.server import RunningServer, start_server

ISSUER = "https://gateway.example"
HOST = "gateway.example"
NOW = Millis(1_795_334_400_000)  # 2026-11-22T08:00:00Z
PARTNER_ID = "prt_01K9Z3N4P5Q6R7S8T9V0W1X2Y3"
OTHER_PARTNER_ID = "prt_01K9Z3N4P5Q6R7S8T9V0W1X2Y4"
CLIENT_ID = "partner-one"
VERIFICATION_ID = EXAMPLE_ANSWER["id"]
PURPOSES = frozenset({"onboarding", "periodic_review", "risk", "complaint"})
LOG_SIZE = 300

CLIENT_KEY = SigningKey.generate()
PROOF_KEY = SigningKey.generate()
SERVER_KEY = SigningKey.generate()

ANSWER_JSON = msgspec.json.encode({name: value for name, value in EXAMPLE_ANSWER.items() if name != "receipt"})
RECEIPT_JSON = msgspec.json.encode(EXAMPLE_RECEIPT)
GOOD_BODY = b'{"subject":{"uscc":"919900000000000192"},"purpose":"onboarding","business_ref":"C-1","relation":"signed_merchant"}'


class StandingClock:
    """A clock that stands where it is put."""

    def __init__(self, now: int = NOW) -> None:
        self.now = Millis(now)

    def now_ms(self) -> Millis:
        return self.now


@dataclass
class FakeVerify:
    """Answers every question alike, once for each proof; ``gate`` holds it back, ``error`` makes it fail."""

    asked: list[tuple[Call, Question]] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    used: set[OneTimeId] = field(default_factory=set)
    error: Exception | None = None
    gate: asyncio.Event | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    replayed: bool = False

    async def __call__(self, call: Call, question: Question) -> Proven:
        self.asked.append((call, question))
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        self.finished.append(call.request_id)
        if self.error is not None:
            raise self.error
        if call.claim in self.used:
            raise GatewayError(ErrorKind.INVALID_DPOP_PROOF, reason="replayed")
        self.used.add(call.claim)
        return Proven(VERIFICATION_ID, ANSWER_JSON, RECEIPT_JSON, replayed=self.replayed, outcome="clear")


@dataclass
class FakeReadBack:
    """Holds one verification of one partner."""

    owner: str = PARTNER_ID

    async def answer(self, call: Call, verification_id: str) -> Proven:
        self._check(call, verification_id)
        return Proven(VERIFICATION_ID, ANSWER_JSON, RECEIPT_JSON, replayed=True, outcome="clear")

    async def receipt(self, call: Call, verification_id: str) -> bytes:
        self._check(call, verification_id)
        return RECEIPT_JSON

    def _check(self, call: Call, verification_id: str) -> None:
        if verification_id != VERIFICATION_ID or call.partner_id != self.owner:
            raise GatewayError(ErrorKind.NOT_FOUND)


@dataclass
class FakeRefusals:
    """Remembers refusals; ``error`` makes it fail closed."""

    written: list[tuple[Call, GatewayError, int, str | None]] = field(default_factory=list)
    error: GatewayError | None = None

    async def refused(self, call: Call, refusal: GatewayError, *, status: int, purpose: str | None = None) -> None:
        if self.error is not None:
            raise self.error
        self.written.append((call, refusal, status, purpose))


class FakeLog:
    """A log of ``LOG_SIZE`` leaves whose hashes are zeros."""

    async def checkpoint(self) -> str:
        return f"gateway.example/log\n{LOG_SIZE}\nAAAA\n\n— gateway.example/log AAAA\n"

    async def tile(self, level: int, index: int, width: int) -> bytes:
        if index * 256 + width > LOG_SIZE >> (8 * level):
            raise GatewayError(ErrorKind.NOT_FOUND)
        return bytes(32 * width)

    async def inclusion(self, index: int, size: int | None) -> str:
        if not 0 <= index < (LOG_SIZE if size is None else size) <= LOG_SIZE:
            raise GatewayError(ErrorKind.NOT_FOUND)
        return f"c2sp.org/tlog-proof@v1\nindex {index}\n\ncheckpoint\n"

    async def consistency(self, old: int, new: int) -> Sequence[bytes]:
        if not 0 < old <= new <= LOG_SIZE:
            raise GatewayError(ErrorKind.NOT_FOUND)
        return [bytes(32)] * (new - old > 0)


FRESH = SourceState("municipal", 42, Millis(NOW - 3_600_000), 0)


@dataclass
class FakeSource:
    """A feed applied one hour ago, or whatever a test puts here; ``gate`` holds it back, ``error`` makes it fail."""

    state: SourceState | None = FRESH
    gate: asyncio.Event | None = None
    error: Exception | None = None

    async def source_state(self) -> SourceState | None:
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.state


@dataclass
class FakeDirectory:
    """One client."""

    state: PartnerState = PartnerState.ACTIVE

    async def find_client(self, client_id: str, _kid: str | None) -> StoredClient | None:
        key = StoredKey(
            kid=CLIENT_KEY.public.thumbprint,
            alg=CLIENT_KEY.public.alg,
            jwk=msgspec.json.encode(dict(CLIENT_KEY.public.jwk)).decode(),
            purpose=KeyPurpose.CLIENT_AUTH,
            state=KeyState.ACTIVE,
            not_before_ms=Millis(0),
            created_ms=Millis(0),
        )
        partner = Partner(
            partner_id=PARTNER_ID,
            client_id=CLIENT_ID,
            name="测试平台",
            sector="network-freight",
            scopes=frozenset({"verifications"}),
            purposes=PURPOSES,
            state=self.state,
        )
        return StoredClient(partner=partner, keys=(key,)) if client_id == CLIENT_ID else None


class FakeRegistrations:
    """A log that bears out every row."""

    async def require(self, partner: Partner, key: RegisteredKey) -> None:
        assert partner.partner_id == PARTNER_ID
        assert key.thumbprint == CLIENT_KEY.public.thumbprint


@dataclass
class FakeTokenLedger:
    """Claims one-time ids once; ``error`` makes it fail."""

    used: set[OneTimeId] = field(default_factory=set)
    issues: list[TokenIssue] = field(default_factory=list)
    refusals: list[TokenRefusal] = field(default_factory=list)
    error: GatewayError | None = None

    async def record_issue(self, issue: TokenIssue) -> None:
        if self.error is not None:
            raise self.error
        claims = {issue.assertion_claim, issue.proof_claim}
        if again := claims & self.used:
            raise Replayed(frozenset(claim.digest for claim in again))
        self.used |= claims
        self.issues.append(issue)

    async def record_refusal(self, refusal: TokenRefusal) -> None:
        if self.error is not None:
            raise self.error
        self.refusals.append(refusal)


@dataclass
class RecordingLog:
    """What was logged, as (event, fields)."""

    lines: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def info(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    def error(self, event: str, **fields: object) -> None:
        self.lines.append((event, {**fields, "level": "error"}))


@dataclass
class RecordingMetrics:
    """What was counted."""

    in_flight: int = 0
    finished: list[tuple[str, str, int]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    answers: list[tuple[str, str]] = field(default_factory=list)

    def request_started(self) -> None:
        self.in_flight += 1

    def request_finished(self, route: str, method: str, status: int, seconds: float) -> None:
        assert seconds >= 0
        self.in_flight -= 1
        self.finished.append((route, method, status))

    def refused(self, code: str) -> None:
        self.refusals.append(code)

    def connection_closed(self, reason: str) -> None:
        self.closed.append(reason)

    def verified(self, purpose: str, outcome: str) -> None:
        self.answers.append((purpose, outcome))


@dataclass
class World:
    """Everything behind one edge, and what a partner needs to call it."""

    issuer: str = ISSUER
    nonces: bool = False
    max_body_bytes: int = 65_536
    receive_s: float = 10.0
    deadline_s: float = 10.0
    max_in_flight: int = 1000
    bodies: int = 1000
    token_bodies: int = 256
    token_body_s: float = 3.0
    token_requests: int = 128
    public_reads: int = 64
    clock: StandingClock = field(default_factory=StandingClock)
    verify: FakeVerify = field(default_factory=FakeVerify)
    read_back: FakeReadBack = field(default_factory=FakeReadBack)
    ledger: FakeRefusals = field(default_factory=FakeRefusals)
    source: FakeSource = field(default_factory=FakeSource)
    directory: FakeDirectory = field(default_factory=FakeDirectory)
    token_ledger: FakeTokenLedger = field(default_factory=FakeTokenLedger)
    log: RecordingLog = field(default_factory=RecordingLog)
    metrics: RecordingMetrics = field(default_factory=RecordingMetrics)

    def __post_init__(self) -> None:
        self.tokens = TokenIssuer(self.issuer, self.issuer, SERVER_KEY, self.clock)
        self.body_limits = BodyLimits(
            max_bytes=self.max_body_bytes, receive_s=self.receive_s, room=BodyRoom(self.bodies)
        )
        self.strangers = StrangerBounds(
            token_bodies=BodyLimits(
                max_bytes=TOKEN_BODY_BYTES, receive_s=self.token_body_s, room=BodyRoom(self.token_bodies)
            ),
            token_requests=Lane(self.token_requests, reason="token_requests"),
            public_reads=Lane(self.public_reads, reason="public_reads"),
        )
        self.resource_nonces = self._nonces(NonceAudience.RESOURCES)
        self.token_nonces = self._nonces(NonceAudience.TOKEN_ENDPOINT)

    def _nonces(self, audience: NonceAudience) -> NonceIssuer | None:
        return NonceIssuer([Secret(bytes(range(32)))], audience) if self.nonces else None

    def needs(self) -> Needs:
        return Needs(
            issuer=self.issuer,
            clock=self.clock,
            authenticate=Authenticator(
                TokenVerifier(self.issuer, self.issuer, [SERVER_KEY.public], self.clock),
                ProofVerifier(self.issuer, self.resource_nonces, self.clock),
            ),
            verify=self.verify,
            read_back=self.read_back,
            ledger=self.ledger,
            log=FakeLog(),
            grant_token=GrantToken(
                issuer=self.issuer,
                audience=self.issuer,
                directory=self.directory,
                registrations=FakeRegistrations(),
                ledger=self.token_ledger,
                proofs=ProofVerifier(self.issuer, self.token_nonces, self.clock),
                tokens=self.tokens,
                clock=self.clock,
            ),
            source=self.source,
            metrics=self.metrics,
            jwks=render_jwks([SERVER_KEY.public]),
            metadata=render_metadata(self.issuer),
            body_limits=self.body_limits,
            strangers=self.strangers,
            max_stale_ms=86_400_000,
        )

    def front(self) -> Front:
        policy = FrontPolicy(
            hosts=accepted_hosts(self.issuer), deadline_s=self.deadline_s, max_in_flight=self.max_in_flight
        )
        return partner_front(self.needs(), policy, Observers(log=self.log, metrics=self.metrics))

    def token(self, *, partner_id: str = PARTNER_ID, scope: str = "verifications", key: SigningKey = PROOF_KEY) -> str:
        return self.tokens.issue(
            partner_id=partner_id,
            client_id=CLIENT_ID,
            credential=CLIENT_KEY.public.thumbprint,
            scopes=[scope],
            purposes=PURPOSES,
            jkt=key.public.thumbprint,
            jti=secrets.token_urlsafe(16),
        )

    def proof(
        self,
        path: str,
        token: str | None,
        *,
        method: str = "POST",
        nonce: str | None = None,
        key: SigningKey = PROOF_KEY,
    ) -> str:
        return make_proof(
            key,
            method=method,
            url=self.issuer + path,
            now=self.clock.now,
            jti=secrets.token_urlsafe(16),
            access_token=token,
            nonce=nonce,
        )

    def credentials(self, path: str, *, method: str = "POST", **token: str) -> list[tuple[str, str]]:
        """Header fields of an authenticated request."""
        text = self.token(**token)
        return [("Authorization", f"DPoP {text}"), ("DPoP", self.proof(path, text, method=method))]

    def form(self) -> list[tuple[str, str]]:
        """Parameters of a good token request."""
        assertion = make_assertion(
            CLIENT_KEY,
            client_id=CLIENT_ID,
            issuer=self.issuer,
            now=self.clock.now,
            jti=secrets.token_urlsafe(16),
            kid=CLIENT_KEY.public.thumbprint,
        )
        return token_form(assertion=assertion)


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it came from the socket."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value for given, value in self.headers if given.lower() == name.lower()]
        assert len(values) <= 1, f"{name} sent twice"
        return values[0] if values else None

    @property
    def json(self) -> dict[str, object]:
        value = msgspec.json.decode(self.body)
        assert isinstance(value, dict)
        return value


class RawClient:
    """One connection, on which a test writes whatever bytes it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, wire: bytes) -> None:
        self.writer.write(wire)
        await self.writer.drain()

    async def receive(self, *, head_only: bool = False) -> RawAnswer:
        """Read one answer by its Content-Length."""
        async with asyncio.timeout(10):
            head = await self.reader.readuntil(b"\r\n\r\n")
            line, *fields = head.decode("ascii").removesuffix("\r\n\r\n").split("\r\n")
            headers = [(name, value) for name, _, value in (one.partition(": ") for one in fields)]
            answer = RawAnswer(int(line.split(" ")[1]), headers, b"")
            length = int(answer.header("Content-Length") or 0)
            body = b"" if head_only else await self.reader.readexactly(length)
            return RawAnswer(answer.status, headers, body)

    async def rest(self) -> bytes:
        """Read until the server closes."""
        async with asyncio.timeout(10):
            return await self.reader.read()

    def reset(self) -> None:
        """Leave as a process that is killed with bytes unread leaves: the server is told at once (RST)."""
        sock = self.writer.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()


class Loopback:
    """A running server and its clients."""

    def __init__(self, world: World, server: RunningServer, port: int) -> None:
        self.world = world
        self.server = server
        self.port = port
        self._clients: list[RawClient] = []

    async def connect(self) -> RawClient:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", self.port))
        self._clients.append(client)
        return client

    async def raw(self, wire: bytes, *, head_only: bool = False) -> RawAnswer:
        """Send bytes on a connection of their own and read one answer."""
        client = await self.connect()
        await client.send(wire)
        return await client.receive(head_only=head_only)

    async def request(
        self, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes | None = None
    ) -> RawAnswer:
        return await self.raw(request_bytes(method, target, headers, body), head_only=method == "HEAD")

    async def verify(self, body: bytes = GOOD_BODY, headers: Sequence[tuple[str, str]] = ()) -> RawAnswer:
        """Ask, authenticated."""
        given = [*self.world.credentials("/v1/verifications"), *headers]
        if not any(name == "Content-Type" for name, _ in headers):
            given.append(("Content-Type", "application/json"))
        return await self.request("POST", "/v1/verifications", given, body)

    async def token(self, body: bytes, content_type: str = "application/x-www-form-urlencoded") -> RawAnswer:
        headers = [("DPoP", self.world.proof("/oauth2/token", None)), ("Content-Type", content_type)]
        return await self.request("POST", "/oauth2/token", headers, body)

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        await self.server.drain(grace_s=0.0, finish_s=1.0)


def request_bytes(
    method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes | None = None
) -> bytes:
    """Return an HTTP/1.1 request with Host and Content-Length."""
    fields = [("Host", HOST), *headers]
    if body is not None:
        fields.append(("Content-Length", str(len(body))))
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n"
    return head.encode("latin-1") + (body or b"")


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop turn until something holds that nothing announces."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event, and no time passes between turns
            await asyncio.sleep(0)


def listening_socket() -> socket.socket:
    """Return a socket bound to a free port of the loopback interface."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    return sock


@asynccontextmanager
async def running(world: World | None = None, limits: HttpLimits | None = None) -> AsyncIterator[Loopback]:
    """Run a gateway of fakes on a free port."""
    sock = listening_socket()
    port = sock.getsockname()[1]
    world = world or World()
    server = await start_server(world.front(), sock, limits or HttpLimits())
    loopback = Loopback(world, server, port)
    try:
        yield loopback
    finally:
        await loopback.close()
