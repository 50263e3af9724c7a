"""One request and its answer, as handlers see them.

For: the values between the middleware and the handlers. ``Exchange`` is the request with what is learnt about it on the way;
``Reply`` is an answer, complete but for the header fields that every answer has; ``Route`` ties a path to a handler.
Not for: sockets (``gateway.web.server``) or sentences (``gateway.web.problem``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, cast

import msgspec

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest

    from gateway.base.clock import Millis
    from gateway.base.errors import GatewayError
    from gateway.web.activity import Activity

JSON_TYPE: Final = "application/json"
NO_STORE: Final = "no-store"


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. ``headers`` must be ASCII without control characters: what writes them to the socket refuses others."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    cache_control: str = NO_STORE
    headers: tuple[tuple[str, str], ...] = ()


class Peer(Protocol):
    """The connection that a request came on (``gateway.web.connection``), as far as the handlers matter to it."""

    awaits_body: bool
    """Whether the request being served waits for its body: so long, its connection is no better than an idle one."""

    @property
    def address(self) -> str:
        """The address of the other end."""
        ...

    @property
    def at_last_request(self) -> bool:
        """Whether the client has said that nothing comes after the request being served."""
        ...

    def prove(self) -> None:
        """Note that an authenticated request came on this connection."""
        ...


class Exchange:
    """A request on its way through one handler, and the facts for its one log line.

    Owned by the task that serves the request; nobody else changes it. ``path`` and ``query`` are raw: never percent-decoded. A target in
    absolute form is replaced by what it names here once it has been found to be ours (``gateway.web.target``).
    ``extra`` are header fields that the answer shall carry whether the request succeeds or not.
    """

    __slots__ = (
        "activity",
        "authenticated",
        "code",
        "extra",
        "outcome",
        "params",
        "partner_id",
        "path",
        "query",
        "reason",
        "received_ms",
        "request",
        "request_id",
        "template",
    )

    def __init__(self, request: BaseRequest, request_id: str, received_ms: Millis, activity: Activity) -> None:
        self.request: Final = request
        self.activity: Final = activity
        self.request_id: Final = request_id
        self.received_ms: Final = received_ms
        path, _, query = request.raw_path.partition("?")
        self.path: str = path
        self.query: str = query
        self.params: tuple[str, ...] = ()
        self.template = "unmatched"
        self.extra: list[tuple[str, str]] = []
        self.authenticated = False
        self.partner_id: str | None = None
        self.outcome: str | None = None
        self.code: str | None = None
        self.reason: str | None = None

    @property
    def connection(self) -> Peer:
        """The connection that the request came on."""
        return cast("Peer", self.request.protocol)  # the server makes no others: gateway.web.server

    def authenticate(self) -> None:
        """Note that whoever sent this has proven who it is."""
        self.authenticated = True
        self.connection.prove()


Handler: TypeAlias = Callable[[Exchange], Awaitable[Reply]]
RenderRefusal: TypeAlias = "Callable[[Exchange, GatewayError], Reply]"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. ``template`` names variable segments in braces, each matched by ``[A-Za-z0-9_-]{1,64}``.

    A last segment ``{name...}`` matches the rest of the path. ``render_refusal`` is set where refusals are not problem documents.
    ``protected`` routes ask for a token, and say how in every 400 and 401; the methods of one path agree in both.
    """

    method: str
    template: str
    handler: Handler
    render_refusal: RenderRefusal | None = None
    protected: bool = False
