"""Reading a body without being hurt by it.

For: everything that is checked before the first byte is parsed: media type, charset, content coding, size, time.
Not for: what the bytes mean (``gateway.api.wire``, ``gateway.web.form``).
Source: RFC 9110 sections 8.3 (Content-Type), 8.4 (Content-Encoding), 10.1.1 (Expect); RFC 1952 (gzip). Table rows G01, G04, G06, G10,
G11, G18 and G20 of the security design.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import HttpVersion11, web

from gateway.base.errors import ErrorKind, GatewayError

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest

    from gateway.web.exchange import Exchange
    from gateway.web.lane import BodyRoom

_CHARSET: Final = re.compile(r"[ \t]*charset=(?:utf-8|\"utf-8\")[ \t]*", re.ASCII | re.IGNORECASE)
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_GZIP_WINDOW: Final = 31
"""zlib's notation for a gzip header and the largest window: 32 kB of memory, whatever is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """What a body may cost.

    ``max_bytes`` bounds a body as it arrives and again after its content coding; ``receive_s`` the time until it is complete. ``room``
    holds the requests whose bodies have not come yet, so its size times ``max_bytes`` is the most that bodies hold at once.
    """

    max_bytes: int
    receive_s: float
    room: BodyRoom


async def read_body(exchange: Exchange, media_type: str, limits: BodyLimits) -> bytes:
    """Return the body as it arrived, its content coding not undone.

    While it is waited for, the request takes none of the places that ``max_in_flight`` bounds; it needs one again when the body is here.

    Raises:
        GatewayError: ``UNSUPPORTED_MEDIA_TYPE``, ``BODY_TOO_LARGE``, ``REQUEST_TIMEOUT``, ``OVERLOADED``, or ``MALFORMED_REQUEST`` where
            the body ends before its time or is not framed as it says.
    """
    request = exchange.request
    _check_media_type(request, media_type)
    _check_coding(request)
    declared = request.headers.get("Content-Length")
    if declared is not None and int(declared) > limits.max_bytes:  # digits only: the parser has refused all else
        raise GatewayError(ErrorKind.BODY_TOO_LARGE)
    content = request.content
    try:
        if content.is_eof():
            raw = content.read_nowait(-1)
        else:
            raw = await _receive(exchange, limits)
    except TimeoutError as exc:
        raise GatewayError(ErrorKind.REQUEST_TIMEOUT, reason="slow_body") from exc
    except (web.RequestPayloadError, ConnectionError, RuntimeError) as exc:
        # aiohttp says RuntimeError where the connection was lost before reading began.
        # The stream and what it waited with keep the error; its traceback holds their frames, and would close the circle.
        raise GatewayError(ErrorKind.MALFORMED_REQUEST, reason="broken_body") from exc.with_traceback(None)
    if len(raw) > limits.max_bytes:
        raise GatewayError(ErrorKind.BODY_TOO_LARGE)
    return raw


def undo_coding(exchange: Exchange, raw: bytes, limits: BodyLimits) -> bytes:
    """Return what a body read by ``read_body`` contains: itself, or what its gzip holds, at most ``max_bytes``.

    Raises:
        GatewayError: ``BODY_TOO_LARGE``, or ``MALFORMED_REQUEST`` for bytes that are not exactly one gzip member.
    """
    if exchange.request.headers.get("Content-Encoding", "identity").lower() == "identity":
        return raw
    inflater = zlib.decompressobj(wbits=_GZIP_WINDOW)
    try:
        plain = inflater.decompress(raw, limits.max_bytes + 1)
    except zlib.error as exc:
        raise GatewayError(ErrorKind.MALFORMED_REQUEST, reason="not_gzip") from exc
    if len(plain) > limits.max_bytes:
        raise GatewayError(ErrorKind.BODY_TOO_LARGE, reason="inflates_too_large")
    if not inflater.eof or inflater.unused_data:
        raise GatewayError(ErrorKind.MALFORMED_REQUEST, reason="not_gzip")
    return plain


def _check_media_type(request: BaseRequest, media_type: str) -> None:
    given = request.headers.get("Content-Type", "")
    if given == media_type:
        return
    essence, semicolon, parameters = given.partition(";")
    if essence.strip(" \t").lower() != media_type:
        raise GatewayError(ErrorKind.UNSUPPORTED_MEDIA_TYPE, reason="media_type")
    if semicolon and _CHARSET.fullmatch(parameters) is None:
        raise GatewayError(ErrorKind.UNSUPPORTED_MEDIA_TYPE, reason="charset")


def _check_coding(request: BaseRequest) -> None:
    values = request.headers.getall("Content-Encoding", ())
    if values and (len(values) > 1 or values[0].lower() not in {"identity", "gzip"}):
        raise GatewayError(ErrorKind.UNSUPPORTED_MEDIA_TYPE, reason="content_encoding")


async def _receive(exchange: Exchange, limits: BodyLimits) -> bytes:
    """Wait for a body. Its owner is the partner, if known: a partner that sends heads alone pushes out its own, as an address does."""
    request = exchange.request
    _invite(request)
    owner = exchange.partner_id or exchange.connection.address
    async with asyncio.timeout(limits.receive_s) as deadline:
        with limits.room.place(exchange, owner, deadline):
            raw = await _collect(request, limits.max_bytes)
    exchange.activity.check_room()
    return raw


def _invite(request: BaseRequest) -> None:
    """Tell a client that waits for it that the body may come; an expectation we do not know may be ignored.

    A client of HTTP/1.0 knows no interim answers and would take this one for the final one (RFC 9110 section 10.1.1).
    """
    expects = request.headers.get("Expect", "").lower() == "100-continue" and request.version >= HttpVersion11
    if expects and request.transport is not None:
        request.transport.write(_CONTINUE)


async def _collect(request: BaseRequest, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        chunk = await request.content.readany()
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            raise GatewayError(ErrorKind.BODY_TOO_LARGE)
