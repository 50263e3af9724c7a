"""Documents that do not change while the process lives: made once, shared by all who read them.

For: metadata, keys, the API's description. An answer of these holds the one body there is (``gateway.web.answer``), its tag is computed
once, and who has it already is told so. Source: RFC 9110 sections 8.8.3 (ETag) and 13.1.2 (If-None-Match).
"""

from __future__ import annotations

from gateway.identity.metadata import entity_tag
from gateway.web.exchange import Exchange, Handler, Reply


def serve_document(document: bytes, *, max_age_s: int) -> Handler:
    """Return a handler that serves a JSON document, which anyone may keep for ``max_age_s``."""
    tag = entity_tag(document)
    headers = (("ETag", tag),)
    cache = f"public, max-age={max_age_s}"
    fresh = Reply(status=200, body=document, cache_control=cache, headers=headers)
    unchanged = Reply(status=304, body=b"", cache_control=cache, headers=headers)

    async def serve(exchange: Exchange) -> Reply:
        known = exchange.request.headers.get("If-None-Match", "")
        return unchanged if tag in {one.strip().removeprefix("W/") for one in known.split(",")} else fresh

    return serve
