"""The parts of the OpenAPI document that many operations share: statuses, header fields, parameters, examples.

For: ``gateway.api.openapi`` and ``gateway.api.openapi_paths``.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.base.messages import Sentence
from gateway.base.messages.openapi import OPERATIONS

Json = dict[str, Any]

JSON_TYPE: Final = "application/json"
PROBLEM_TYPE: Final = "application/problem+json"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
TEXT_TYPE: Final = "text/plain"
HTML_TYPE: Final = "text/html"
MAX_JWT_CHARS: Final = 8192
MAX_PROOF_CHARS: Final = 4096
"""With the largest key we accept a proof has some 2,300."""
MAX_INDEX: Final = 2**63 - 1

_ID: Final = "^ver_[0-7][0-9A-HJKMNP-TV-Z]{25}$"
_EXAMPLE_ID: Final = "ver_01KAMXK5C0Y8QH2W4R6T9V1B3D"

EXAMPLE_RECEIPT: Final[Json] = {
    "leaf": "eyJ2IjoxfQ==",
    "open": {"ans": "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k"},
    "proof": "c2sp.org/tlog-proof@v1\nindex 0\n\ngateway.example/log\n1\n…\n",
}
EXAMPLE_ANSWER: Final[Json] = {
    "id": _EXAMPLE_ID,
    "outcome": "clear",
    "subject": {
        "uscc": "919900000000000192",
        "name": "沙箱测试商户01有限公司",
        "status": "active",
        "established": "2020-01-01",
        "name_matches": None,
    },
    "as_of": "2026-11-22T00:00:00.000Z",
    "feed": "municipal",
    "feed_version": 42,
    "catalogue_version": "2026-11-01",
    "flags": [],
    "notices": [],
    "candidates": [],
    "reasons": [{"code": "nothing_in_force", "zh": "…", "en": "…", "field": None}],
    "receipt": EXAMPLE_RECEIPT,
}
_STATUS_TEXT: Final = {
    "400": "格式错误 / malformed: not HTTP, not JSON, or a bad parameter",
    "401": "未认证 / no, or no valid, token and proof; `WWW-Authenticate` says which",
    "403": "无权限 / the scope of the token or the agreement does not allow it",
    "404": "不存在 / no such resource, or not yours",
    "405": "方法不允许 / `Allow` lists the methods",
    "408": "接收超时 / the request did not arrive in time",
    "409": "正在处理 / a request with this Idempotency-Key is being processed",
    "413": "正文过大 / the body is too large",
    "414": "地址过长 / the target is too long",
    "415": "媒体类型不支持 / media type, charset or content coding",
    "421": "主机错误 / the Host is not ours",
    "422": "参数有误 / every fault in `errors`; or the Idempotency-Key was used with another body",
    "431": "请求头过大 / header fields are too large",
    "500": "内部错误 / recorded under the `request_id`",
    "503": "暂不可用 / retry after `Retry-After` with the same Idempotency-Key",
}
_EVERYWHERE: Final = ("400", "405", "408", "414", "421", "431", "500", "503")


def ref(kind: str, name: str) -> Json:
    """Return a reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


PARAMETERS: Final[dict[str, Json]] = {
    "DPoP": {
        "name": "DPoP",
        "in": "header",
        "required": True,
        "description": "A proof of possession for this one request (RFC 9449 section 4.2): a compact JWS.",
        "schema": {
            "type": "string",
            "maxLength": MAX_PROOF_CHARS,
            "pattern": r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$",
        },
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "Same key and body within 24 hours: the same answer. Same key, other body: 422.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!#-~]([ -~]*[!-~])?$"},
        "example": "order-2026-118-a",
    },
    "VerificationId": {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": _ID, "maxLength": 30},
        "example": _EXAMPLE_ID,
    },
}


def content(media_type: str, schema: Json) -> Json:
    """Return the content of one media type."""
    return {media_type: {"schema": schema}}


def header(description: str) -> Json:
    """Return a header field of a response."""
    return {"description": description, "schema": {"type": "string", "maxLength": 1024}}


REQUEST_ID: Final = {"Request-Id": header("The identifier of this request, for questions to the operator.")}
NONCE: Final = {"DPoP-Nonce": header("The nonce that the next proof must carry.")}


def ok(description: str, body: Json, headers: Json | None = None) -> Json:
    """Return the response of a success with its content; every answer has a ``Request-Id``."""
    return {"200": {"description": description, "headers": {**REQUEST_ID, **(headers or {})}, "content": body}}


def refusals(*statuses: str, schema: str = "Problem", media_type: str = PROBLEM_TYPE) -> Json:
    """Return the responses of the statuses that any route may answer, and of those given."""
    responses: Json = {}
    for status in sorted({*_EVERYWHERE, *statuses}):
        headers: Json = dict(REQUEST_ID)
        if status == "401":
            headers |= {"WWW-Authenticate": header("The challenge (RFC 9449 section 7.1)."), **NONCE}
        if status == "400" and "401" in statuses and media_type == PROBLEM_TYPE:
            headers["WWW-Authenticate"] = header("The challenge, with `error=invalid_request` (RFC 6750 section 3.1).")
        if status in {"409", "503"}:
            headers["Retry-After"] = header("Seconds to wait.")
        if status == "405":
            headers["Allow"] = header("The methods of this resource.")
        responses[status] = {
            "description": _STATUS_TEXT[status],
            "headers": headers,
            "content": content(media_type, ref("schemas", schema)),
        }
    return responses


def in_line(sentence: Sentence) -> str:
    """Return a short text in both languages, on one line."""
    return f"{sentence.zh} / {sentence.en}"


def in_paragraphs(sentence: Sentence) -> str:
    """Return a text in both languages, as Markdown."""
    return f"{sentence.zh}\n\n{sentence.en}"


def operation(name: str, tag: str, responses: Json, *, protected: bool = False, **more: Any) -> Json:  # noqa: ANN401 - JSON
    """Return one operation. Who may call it is said in each: a reader must not have to infer it from silence."""
    text = OPERATIONS[name]
    return {
        "operationId": name,
        "tags": [tag],
        "summary": in_line(text.summary),
        "description": in_paragraphs(text.description),
        "security": [{"dpop": []}] if protected else [],
        "responses": responses,
        **more,
    }


def number(name: str, *, required: bool) -> Json:
    """Return a query parameter that is a number."""
    return {
        "name": name,
        "in": "query",
        "required": required,
        "schema": {"type": "integer", "minimum": 0, "maximum": MAX_INDEX},
    }


def unchanging(name: str, tag: str, schema: Json) -> Json:
    """Return the operation that serves a document with an ``ETag``."""
    body = content(JSON_TYPE, schema)
    responses = {**ok("The document.", body), "304": {"description": "Not changed."}, **refusals()}
    return operation(name, tag, responses)
