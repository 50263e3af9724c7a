"""The pages that the ``type`` of a problem document points to: one for each code, and one that lists them.

For: a developer who follows the link, in a browser (HTML) or with a program (JSON). Both languages on one page; works offline.
Source: RFC 9457 section 3.1.1.
"""

from __future__ import annotations

from html import escape
from typing import Final

import msgspec

from gateway.base.errors import ErrorKind, GatewayError
from gateway.base.messages.problems import PROBLEMS
from gateway.web.exchange import JSON_TYPE, Exchange, Reply, Route
from gateway.web.problem import DOCS_PATH, is_retryable, status_of

HTML_TYPE: Final = "text/html; charset=utf-8"
CACHE: Final = "public, max-age=3600"


class BothLanguages(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence in Chinese and English."""

    zh: str
    en: str


class ErrorPage(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to know about one code."""

    code: str
    status: int
    retryable: bool
    title: BothLanguages
    detail: BothLanguages
    advice: BothLanguages


class ErrorPages(msgspec.Struct, frozen=True, kw_only=True):
    """Every code there is."""

    errors: tuple[ErrorPage, ...]


_ENCODER: Final = msgspec.json.Encoder()
_VARY: Final = (("Vary", "Accept"),)


def _page(kind: ErrorKind) -> ErrorPage:
    text = PROBLEMS[kind]
    return ErrorPage(
        code=kind.value,
        status=status_of(kind),
        retryable=is_retryable(kind),
        title=BothLanguages(zh=text.title.zh, en=text.title.en),
        detail=BothLanguages(zh=text.detail.zh.format(count="N"), en=text.detail.en.format(count="N")),
        advice=BothLanguages(zh=text.advice.zh, en=text.advice.en),
    )


def _render(page: ErrorPage) -> str:
    again = (
        "可以原样重试。 / The same request may be retried."
        if page.retryable
        else "修改后再试。 / Change the request first."
    )
    return (
        f'<!doctype html><html lang="zh"><meta charset="utf-8"><title>{escape(page.code)}</title>'
        f"<h1>{escape(page.title.zh)} / {escape(page.title.en)}</h1><p><code>{escape(page.code)}</code>, HTTP {page.status}</p>"
        f'<p>{escape(page.detail.zh)}<p lang="en">{escape(page.detail.en)}</p>'
        f'<p>{escape(page.advice.zh)}<p lang="en">{escape(page.advice.en)}</p><p>{again}</p></html>'
    )


def _reply(body: bytes, content_type: str) -> Reply:
    return Reply(status=200, body=body, content_type=content_type, cache_control=CACHE, headers=_VARY)


def _index_html() -> bytes:
    items = "".join(
        f'<li><a href="{DOCS_PATH}{code}">{code}</a> {escape(page.title.zh)} / {escape(page.title.en)}'
        for code, page in _PAGES.items()
    )
    return f'<!doctype html><html lang="zh"><meta charset="utf-8"><title>errors</title><ul>{items}</ul></html>'.encode()


_PAGES: Final = {kind.value: _page(kind) for kind in ErrorKind}
# Made once and shared: anyone may ask for these as often as they like, and read them as slowly.
_HTML: Final = {code: _reply(_render(page).encode(), HTML_TYPE) for code, page in _PAGES.items()}
_JSON: Final = {code: _reply(_ENCODER.encode(page), JSON_TYPE) for code, page in _PAGES.items()}
_HTML_INDEX: Final = _reply(_index_html(), HTML_TYPE)
_JSON_INDEX: Final = _reply(_ENCODER.encode(ErrorPages(errors=tuple(_PAGES.values()))), JSON_TYPE)


class DocsRoutes:
    """The handlers. They need nothing."""

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        return (
            Route(method="GET", template=DOCS_PATH.rstrip("/"), handler=self.index),
            Route(method="GET", template=DOCS_PATH + "{code}", handler=self.page),
        )

    async def index(self, exchange: Exchange) -> Reply:
        """List every code."""
        return _HTML_INDEX if _wants_html(exchange) else _JSON_INDEX

    async def page(self, exchange: Exchange) -> Reply:
        """Explain one code; ``NOT_FOUND`` for one that we do not use."""
        reply = (_HTML if _wants_html(exchange) else _JSON).get(exchange.params[0])
        if reply is None:
            raise GatewayError(ErrorKind.NOT_FOUND)
        return reply


def _wants_html(exchange: Exchange) -> bool:
    return "text/html" in exchange.request.headers.get("Accept", "").lower()
