"""From a raw path to a handler.

For: matching the path exactly as it was sent: no percent-decoding, no dot segments, no case folding, no trailing slash. All our
paths are plain ASCII, so a path with ``%`` in it names nothing (table row G19 of the security design) and no two spellings of
a path can be told apart by one component and confused by another.
Source: RFC 9110 sections 9.3.2 (HEAD), 15.5.5, 15.5.6 and 10.2.1 (Allow).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from gateway.base.errors import ErrorKind, GatewayError
from gateway.web.exchange import Exchange, Route

_VARIABLE: Final = re.compile(r"\\\{\w+\\\}")
_REST: Final = re.compile(r"\\\{\w+\\\.\\\.\\\.\\\}")


class RouteTable:
    """The routes of one server, checked for doubles when built (``ValueError``)."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed: Final[dict[str, dict[str, Route]]] = {}
        self._variable: Final[list[tuple[re.Pattern[str], dict[str, Route]]]] = []
        by_template: dict[str, dict[str, Route]] = {}
        for route in routes:
            methods = by_template.setdefault(route.template, {})
            if route.method in methods:
                msg = f"two routes for {route.method} {route.template}"
                raise ValueError(msg)
            methods[route.method] = route
        for template, methods in by_template.items():
            if "GET" in methods:
                methods["HEAD"] = methods["GET"]
            if "{" in template:
                self._variable.append((_pattern(template), methods))
            else:
                self._fixed[template] = methods

    def find(self, exchange: Exchange, method: str) -> Route:
        """Return the route and note its template and path parameters in the exchange.

        Raises:
            GatewayError: ``NOT_FOUND``, or ``METHOD_NOT_ALLOWED`` with ``Allow`` noted.
        """
        methods = self._fixed.get(exchange.path)
        if methods is None:
            methods = self._match(exchange)
        route = methods.get(method)
        if route is None:
            exchange.template = next(iter(methods.values())).template
            exchange.extra.append(("Allow", ", ".join(sorted(methods))))
            raise GatewayError(ErrorKind.METHOD_NOT_ALLOWED)
        exchange.template = route.template
        return route

    def serving(self, path: str) -> Route | None:
        """Return a route of a path, for whatever method, or None: how a refusal must look that comes before or instead of a handler."""
        methods = self._fixed.get(path)
        if methods is None:
            methods = next((methods for pattern, methods in self._variable if pattern.fullmatch(path)), None)
        return None if methods is None else next(iter(methods.values()))

    def _match(self, exchange: Exchange) -> dict[str, Route]:
        for pattern, methods in self._variable:
            match = pattern.fullmatch(exchange.path)
            if match is not None:
                exchange.params = match.groups()
                return methods
        raise GatewayError(ErrorKind.NOT_FOUND, reason="no_such_path")


def _pattern(template: str) -> re.Pattern[str]:
    escaped = re.escape(template)
    escaped = _REST.sub(r"([A-Za-z0-9_./-]{1,200})", escaped)
    return re.compile(_VARIABLE.sub(r"([A-Za-z0-9_-]{1,64})", escaped), re.ASCII)
