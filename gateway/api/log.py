"""The public routes of the log: checkpoint, tiles, proofs. For anyone, without authentication.

Source: c2sp.org/tlog-tiles (paths, media types, caching), c2sp.org/tlog-checkpoint, c2sp.org/tlog-proof. The log's URL prefix is
``/v1/log``. Entry bundles are not served: a leaf names partner and purpose, so leaves reach only whom they concern.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from gateway.api.needs import ShowsLog
from gateway.audit.merkle import TILE_WIDTH
from gateway.audit.tiles import TilePathError, parse_tile_path
from gateway.base.codec import b64
from gateway.base.errors import ErrorKind, Fault, GatewayError
from gateway.web.exchange import Exchange, Reply, Route
from gateway.web.lane import Lane

TEXT_TYPE: Final = "text/plain; charset=utf-8"
TILE_TYPE: Final = "application/octet-stream"
FOREVER: Final = "public, max-age=31536000, immutable"
BRIEFLY: Final = "public, max-age=1"
MAX_QUERY_FIELDS: Final = 8
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_ENTRIES: Final = "entries/"


class ConsistencyProof(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a consistency proof: base64 hashes in the order of RFC 9162 section 2.1.4."""

    old: int = msgspec.field(name="from")
    new: int = msgspec.field(name="to")
    hashes: tuple[str, ...]


_ENCODER: Final = msgspec.json.Encoder()


class LogRoutes:
    """The handlers, around the log they show, in the lane of those who may read without a name."""

    def __init__(self, log: ShowsLog, lane: Lane) -> None:
        self._log: Final = log
        self._lane: Final = lane

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        bound = self._lane.bound
        return (
            Route(method="GET", template="/v1/log/checkpoint", handler=bound(self.checkpoint)),
            Route(method="GET", template="/v1/log/tile/{path...}", handler=bound(self.tile)),
            Route(method="GET", template="/v1/log/proofs/inclusion", handler=bound(self.inclusion)),
            Route(method="GET", template="/v1/log/proofs/consistency", handler=bound(self.consistency)),
        )

    async def checkpoint(self, _exchange: Exchange) -> Reply:
        """Serve the signed checkpoint of the present head."""
        text = await self._log.checkpoint()
        return Reply(status=200, body=text.encode(), content_type=TEXT_TYPE, cache_control=BRIEFLY)

    async def tile(self, exchange: Exchange) -> Reply:
        """Serve a full or partial tile; ``NOT_FOUND`` for what is no tile, or not yet one, and for entry bundles."""
        path = exchange.params[0]
        if path.startswith(_ENTRIES):
            fault = Fault(path="", code="entries_not_public")
            raise GatewayError(ErrorKind.NOT_FOUND, reason="entries_not_public", faults=(fault,))
        try:
            address = parse_tile_path(f"tile/{path}")
        except TilePathError as exc:
            raise GatewayError(ErrorKind.NOT_FOUND, reason="tile_path") from exc
        hashes = await self._log.tile(address.level, address.index, address.width)
        cache = FOREVER if address.width == TILE_WIDTH else BRIEFLY
        return Reply(status=200, body=hashes, content_type=TILE_TYPE, cache_control=cache)

    async def inclusion(self, exchange: Exchange) -> Reply:
        """Serve the tlog-proof of leaf ``index`` in the tree of ``size`` leaves, by default the present head."""
        numbers = _numbers(exchange.query, required=("index",), optional=("size",))
        text = await self._log.inclusion(numbers["index"], numbers.get("size"))
        return Reply(status=200, body=text.encode(), content_type=TEXT_TYPE)

    async def consistency(self, exchange: Exchange) -> Reply:
        """Serve the proof that the tree of ``from`` leaves is a prefix of that of ``to``."""
        numbers = _numbers(exchange.query, required=("from", "to"), optional=())
        old, new = numbers["from"], numbers["to"]
        hashes = await self._log.consistency(old, new)
        document = ConsistencyProof(old=old, new=new, hashes=tuple(b64(digest) for digest in hashes))
        return Reply(status=200, body=_ENCODER.encode(document))


def _numbers(query: str, *, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, int]:
    """Read query parameters that are numbers; ``INVALID_REQUEST`` names every fault. Unknown parameters are ignored."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS)
    except ValueError as exc:
        raise GatewayError(
            ErrorKind.INVALID_REQUEST, reason="query", faults=(Fault(path="/query", code="invalid"),)
        ) from exc
    faults: list[Fault] = []
    numbers: dict[str, int] = {}
    for name in (*required, *optional):
        values = [value for key, value in pairs if key == name]
        if not values and name in required:
            faults.append(Fault(path=f"/query/{name}", code="required"))
        elif len(values) > 1:
            faults.append(Fault(path=f"/query/{name}", code="repeated"))
        elif values and _NUMBER.fullmatch(values[0]) is None:
            faults.append(Fault(path=f"/query/{name}", code="not_a_number"))
        elif values:
            numbers[name] = int(values[0])
    if faults:
        raise GatewayError(ErrorKind.INVALID_REQUEST, reason="query", faults=tuple(faults))
    return numbers
