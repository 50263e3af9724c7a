"""What happens to every request, once, before and after its handler. HOT.

For: the request id, the deadline, the guard against requests that must not reach a handler, the one error boundary, and the metrics of a
request. One layer instead of a chain: each layer of aiohttp middleware costs a coroutine.
Not for: knowing who asks (``gateway.web.authenticate``) or what an answer means.
Source: RFC 9110 sections 7.2 and 7.4 (Host, 421), RFC 9112 sections 3.2 (request target) and 6.1 (Transfer-Encoding in HTTP/1.0);
RFC 6750 section 3 (challenges).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from time import perf_counter
from typing import TYPE_CHECKING, Final, Protocol

from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.ids import new_id
from gateway.base.messages import Lang
from gateway.identity.authorization import BAD_REQUEST_CHALLENGE
from gateway.web.activity import OVERLOAD_RETRY_S, Activity
from gateway.web.answer import AnswerWriter, WireAnswer
from gateway.web.deadline import DeadlinePassed, Deadlines
from gateway.web.exchange import Exchange, Reply
from gateway.web.outbox import Outbox
from gateway.web.request_lines import RequestLines
from gateway.web.target import check_host, split_absolute

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest

    from gateway.base.clock import Clock
    from gateway.web.problem import ProblemRenderer
    from gateway.web.request_lines import RequestLog
    from gateway.web.routes import RouteTable

_HTTP_1_1: Final = (1, 1)


class AnyHost(Enum):
    """The server answers under whatever name it is called by: the admin port, which probes reach by address."""

    ANY = "any"


class HttpMetrics(Protocol):
    """What the middleware counts. Called on the event loop; must not fail or block.

    ``route`` is a template of ours or ``unmatched``, ``method`` one of the parser's fixed list, ``code`` an ``ErrorKind`` or an
    ``OAuthCode``: labels that a stranger cannot invent.
    """

    def request_started(self) -> None:
        """Count one more request in flight."""
        ...

    def request_finished(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request less in flight, and how it went."""
        ...

    def refused(self, code: str) -> None:
        """Count one refusal."""
        ...

    def connection_closed(self, reason: str) -> None:
        """Count one connection that was closed for what it cost; ``reason`` is one of ``gateway.web.connection``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPolicy:
    """What the middleware enforces.

    ``hosts`` are the accepted values of ``Host`` in lower case, with port where it is not the scheme's own. ``deadline_s`` bounds
    one handler, everything it waits for included. ``max_in_flight`` requests are served at once, not counting those that wait for their
    bodies and those of strangers in their lanes; further ones are refused at once.
    """

    hosts: frozenset[str] | AnyHost
    deadline_s: float
    max_in_flight: int


class Front:
    """The request handler of a server: everything a stranger sends comes through here.

    ``scheme`` is that of the public address: what a target in absolute form must begin with, unless any host is taken.
    """

    def __init__(  # noqa: PLR0913 - the one place where the kit's parts meet
        self,
        *,
        routes: RouteTable,
        policy: FrontPolicy,
        scheme: str,
        writer: AnswerWriter,
        problems: ProblemRenderer,
        clock: Clock,
        log: RequestLog,
        metrics: HttpMetrics,
    ) -> None:
        self._routes: Final = routes
        self._hosts: Final = policy.hosts
        self._scheme: Final = None if policy.hosts is AnyHost.ANY else scheme
        self._deadlines: Final = Deadlines(policy.deadline_s)
        self._writer: Final = writer
        self._problems: Final = problems
        self.activity: Final = Activity(policy.max_in_flight)
        self.outbox: Final = Outbox()
        self._clock: Final = clock
        self.lines: Final = RequestLines(log)
        self._metrics: Final = metrics

    async def __call__(self, request: BaseRequest) -> WireAnswer:
        """Serve one request: never raises but for cancellation."""
        started = perf_counter()
        now = self._clock.now_ms()
        exchange = Exchange(request, new_id("req", now), now, self.activity)
        self._metrics.request_started()
        self.activity.in_flight += 1
        status = 500
        try:
            reply = await self._reply(exchange)
            answer = self._wire(exchange, reply)
            status = reply.status
        finally:
            self.activity.request_ended()
            seconds = perf_counter() - started
            self._metrics.request_finished(exchange.template, request.method, status, seconds)
        self.lines.served(exchange, status, seconds)
        return answer

    def refuse_unparsed(self, refusal: GatewayError) -> WireAnswer:
        """Answer bytes that never became a request; the connection cannot be used again."""
        now = self._clock.now_ms()
        request_id = new_id("req", now)
        reply = self._problems.render(refusal, lang=Lang.ZH, instance="", request_id=request_id)
        self._metrics.request_started()
        self._metrics.request_finished("unparsed", "UNKNOWN", reply.status, 0.0)
        self._metrics.refused(refusal.kind.value)
        self.lines.unparsed(refusal, reply.status, request_id)
        wire = self._writer.render(reply, request_id=request_id, now=now, connection="close")
        return WireAnswer(reply.status, wire, self.outbox, keep_alive=False)

    def note_closed(self, reason: str) -> None:
        """Count and log a connection that was closed for what it cost."""
        self._metrics.connection_closed(reason)
        self.lines.closed(reason)

    async def _reply(self, exchange: Exchange) -> Reply:
        """Run the guard and the handler; turn whatever goes wrong into the reply that says so.

        A caught error is passed on, never kept in a variable here: its traceback holds this frame, so the frame must not hold it.
        Such a circle for each refusal would leave the garbage collector a flood of junk to find (measured: 35 µs a refusal).
        """
        try:
            self._guard(exchange)
            route = self._routes.find(exchange, exchange.request.method)
            with self._deadlines.of(exchange.request.task):
                return await route.handler(exchange)
        except GatewayError as exc:
            return self._refuse(exchange, exc)
        except DeadlinePassed:
            return self._refuse(exchange, _over_deadline(exchange))
        except Exception as exc:  # noqa: BLE001 - the boundary: a defect of ours must give one constant sentence, not a trace
            self.lines.crashed(exchange, exc)
            return self._refuse(exchange, GatewayError(ErrorKind.INTERNAL))

    def _refuse(self, exchange: Exchange, refusal: GatewayError) -> Reply:
        """Say no as the path's own refusals say it, whether a handler was reached or not, with its challenge if it is protected.

        That a 401 carries one is the renderer's work: only what asks for a token answers 401.
        """
        code = str(refusal.kind)
        exchange.code = code
        exchange.reason = refusal.reason
        self._metrics.refused(code)
        route = self._routes.serving(exchange.path)
        if route is None:
            return self._problems(exchange, refusal)
        reply = (route.render_refusal or self._problems)(exchange, refusal)
        if route.protected and reply.status == 400:  # noqa: PLR2004 - Bad Request
            exchange.extra.append(("WWW-Authenticate", BAD_REQUEST_CHALLENGE))
        return reply

    def _guard(self, exchange: Exchange) -> None:
        """Refuse what no handler may see: other request targets, foreign hosts, bytes that are not ASCII, too many at once."""
        request = exchange.request
        exchange.activity.check_room()
        named = None if exchange.path.startswith("/") else self._take_absolute(exchange)
        if not request.raw_path.isascii():
            raise GatewayError(ErrorKind.MALFORMED_REQUEST, reason="target_not_ascii")
        for _name, value in request.raw_headers:  # names are tokens, or the parser has refused them
            if not value.isascii():
                raise GatewayError(ErrorKind.MALFORMED_REQUEST, reason="header_not_ascii")
        if self._hosts is not AnyHost.ANY:
            host = request.headers.get("Host", "")
            if named is not None:
                check_host(host)  # must be there and well-formed, and is then ignored (RFC 9112 sections 3.2 and 3.2.2)
                host = named
            if host not in self._hosts and host.lower() not in self._hosts:
                check_host(host)
                raise GatewayError(ErrorKind.MISDIRECTED_REQUEST)

    def _take_absolute(self, exchange: Exchange) -> str:
        """Read a target that is not in origin form; return the host it names, and go on with the path it names."""
        host, path, query = split_absolute(exchange.request.raw_path, self._scheme)
        exchange.path, exchange.query = path, query
        return host

    def _wire(self, exchange: Exchange, reply: Reply) -> WireAnswer:
        request = exchange.request
        # A body that was not read to its end would be taken for the next request: say goodbye instead.
        content = request.content
        readable = content.is_eof() and content.exception() is None
        keep_alive = readable and request.keep_alive and not self.activity.draining
        if keep_alive:
            keep_alive = not exchange.connection.at_last_request and not _is_framed_beyond_its_version(request)
        connection = None
        if not keep_alive:
            connection = "close"
        elif request.version != _HTTP_1_1:
            connection = "keep-alive"
        wire = self._writer.render(
            reply,
            request_id=exchange.request_id,
            now=exchange.received_ms,
            extra=exchange.extra,
            connection=connection,
            head_only=request.method == "HEAD",
        )
        return WireAnswer(reply.status, wire, self.outbox, keep_alive=keep_alive)


def _is_framed_beyond_its_version(request: BaseRequest) -> bool:
    """Tell whether an HTTP/1.0 message says Transfer-Encoding: whoever passed it on may see its end elsewhere (RFC 9112 section 6.1)."""
    return request.version != _HTTP_1_1 and "Transfer-Encoding" in request.headers


def _over_deadline(exchange: Exchange) -> GatewayError:
    """Return whose fault it was: the sender's, if its body is still not here.

    What was begun goes on (a commit is never cancelled); whether it succeeded is not known here.
    """
    if not exchange.request.content.is_eof():
        return GatewayError(ErrorKind.REQUEST_TIMEOUT, reason="slow_body")
    return GatewayError(ErrorKind.OVERLOADED, reason="deadline", retry_after_s=OVERLOAD_RETRY_S)
