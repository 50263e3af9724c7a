"""What every kind of refusal says to a stranger: a title, a sentence, and what to do about it.

For: problem documents (RFC 9457) and the pages their ``type`` points to. One row for each ``ErrorKind``; a test holds it.
Sentences never contain a fact about the request: those are in ``errors`` (``gateway.base.messages.faults``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from gateway.base.errors import ErrorKind as E
from gateway.base.messages import Sentence


class ProblemText(NamedTuple):
    """The three texts of one kind of refusal."""

    title: Sentence
    detail: Sentence
    advice: Sentence


def _text(title: tuple[str, str], detail: tuple[str, str], advice: tuple[str, str]) -> ProblemText:
    return ProblemText(Sentence(*title), Sentence(*detail), Sentence(*advice))


_LATER: Final = ("稍后用同一个 Idempotency-Key 重试。", "Try again later with the same Idempotency-Key.")

PROBLEMS: Final[Mapping[E, ProblemText]] = {
    E.MALFORMED_REQUEST: _text(
        ("请求格式错误", "Malformed request"),
        ("请求不符合 HTTP 规范，未被处理。", "The request is not well-formed HTTP and was not processed."),
        ("检查请求行、请求头与正文编码。", "Check the request line, the header fields and the encoding of the body."),
    ),
    E.MALFORMED_JSON: _text(
        ("JSON 格式错误", "Malformed JSON"),
        ("请求正文不是严格的 JSON。", "The body of the request is not strict JSON."),
        (
            "用 UTF-8 编码，成员不可重复，数字只用整数，嵌套不超过 16 层。",
            "Encode in UTF-8, repeat no member, use integers only, nest no deeper than 16 levels.",
        ),
    ),
    E.INVALID_REQUEST: _text(
        ("请求无效", "Invalid request"),
        ("请求的参数或认证方式无效。", "A parameter of the request, or the way it authenticates, is invalid."),
        (
            "令牌只放在 Authorization 请求头中，且只出现一次；检查查询参数。",
            "Send the token in one Authorization header field only; check the query parameters.",
        ),
    ),
    E.UNAUTHENTICATED: _text(
        ("需要认证", "Authentication required"),
        ("请求没有携带访问令牌。", "The request carries no access token."),
        (
            "先从令牌端点取得令牌，再用 DPoP 方式发送。",
            "Get a token from the token endpoint and send it with the DPoP scheme.",
        ),
    ),
    E.INVALID_TOKEN: _text(
        ("令牌无效", "Invalid token"),
        ("访问令牌无效、已过期或已被吊销。", "The access token is invalid, has expired or was revoked."),
        (
            "重新申请令牌；若仍失败，检查密钥状态。",
            "Ask for a new token; if that fails too, check the state of your key.",
        ),
    ),
    E.INVALID_DPOP_PROOF: _text(
        ("DPoP 证明无效", "Invalid DPoP proof"),
        ("DPoP 证明无效或已被使用。", "The DPoP proof is invalid or was used before."),
        (
            "每个请求签一个新的证明：htm、htu、ath、iat、jti 必须与本次请求一致。",
            "Sign a fresh proof for each request; htm, htu, ath, iat and jti must be those of this request.",
        ),
    ),
    E.USE_DPOP_NONCE: _text(
        ("需要 DPoP nonce", "DPoP nonce required"),
        ("DPoP 证明须包含服务器提供的 nonce。", "The DPoP proof must contain the nonce that the server provides."),
        (
            "用应答头 DPoP-Nonce 的值签新的证明后重试。",
            "Sign a new proof with the value of the DPoP-Nonce header field and retry.",
        ),
    ),
    E.INSUFFICIENT_SCOPE: _text(
        ("权限范围不足", "Insufficient scope"),
        ("令牌的 scope 不包含本操作。", "The scope of the token does not include this operation."),
        ("申请包含所需 scope 的令牌。", "Ask for a token with the scope that is needed."),
    ),
    E.PURPOSE_NOT_ALLOWED: _text(
        ("用途未获授权", "Purpose not allowed"),
        ("协议未授权以此用途查询。", "Your agreement does not allow queries for this purpose."),
        (
            "改用协议内的用途，或联系运营方变更协议。",
            "Use a purpose of your agreement, or ask the operator to change it.",
        ),
    ),
    E.NOT_FOUND: _text(
        ("不存在", "Not found"),
        ("没有这个资源，或不属于您。", "There is no such resource, or it is not yours."),
        ("检查路径与编号。", "Check the path and the identifier."),
    ),
    E.METHOD_NOT_ALLOWED: _text(
        ("方法不允许", "Method not allowed"),
        ("该资源不支持此 HTTP 方法。", "The resource does not support this HTTP method."),
        ("使用 Allow 应答头列出的方法。", "Use a method that the Allow header field lists."),
    ),
    E.IDEMPOTENCY_IN_PROGRESS: _text(
        ("同一请求正在处理", "Request in progress"),
        ("使用同一 Idempotency-Key 的请求正在处理。", "A request with the same Idempotency-Key is being processed."),
        _LATER,
    ),
    E.CONFLICT: _text(
        ("状态冲突", "Conflict"),
        ("请求与资源的当前状态冲突。", "The request conflicts with the present state of the resource."),
        ("读取最新状态后再试。", "Read the present state and try again."),
    ),
    E.BODY_TOO_LARGE: _text(
        ("请求正文过大", "Body too large"),
        ("请求正文超过上限。", "The body of the request exceeds the limit."),
        ("缩小请求正文。", "Send a smaller body."),
    ),
    E.URI_TOO_LONG: _text(
        ("地址过长", "URI too long"),
        ("请求地址超过上限。", "The target of the request exceeds the limit."),
        ("缩短路径与查询参数。", "Shorten path and query."),
    ),
    E.UNSUPPORTED_MEDIA_TYPE: _text(
        ("媒体类型不支持", "Unsupported media type"),
        (
            "不支持的 Content-Type、字符集或 Content-Encoding。",
            "The Content-Type, its charset or the Content-Encoding is not supported.",
        ),
        (
            "JSON 接口用 application/json（UTF-8），可用 gzip；令牌端点用 application/x-www-form-urlencoded。",
            "Use application/json in UTF-8, gzip allowed; at the token endpoint application/x-www-form-urlencoded.",
        ),
    ),
    E.MISDIRECTED_REQUEST: _text(
        ("目标主机错误", "Misdirected request"),
        ("Host 不是本网关的公开地址。", "The Host is not the public address of this gateway."),
        ("使用网关公布的地址。", "Use the address that the gateway publishes."),
    ),
    E.HEADERS_TOO_LARGE: _text(
        ("请求头过大", "Header fields too large"),
        ("请求头超过上限。", "A header field, or their number, exceeds the limit."),
        ("缩短请求头。", "Send shorter or fewer header fields."),
    ),
    E.VALIDATION_FAILED: _text(
        ("请求参数有误", "Validation failed"),
        ("{count} 处需要修改。", "{count} thing(s) must be changed."),
        ("按 errors 中的每一条修改后重新提交。", "Change what each entry of errors says and send again."),
    ),
    E.IDEMPOTENCY_KEY_REUSED: _text(
        ("Idempotency-Key 已用于其他内容", "Idempotency-Key reused"),
        ("这个 Idempotency-Key 已用于另一份请求正文。", "This Idempotency-Key was used with another body."),
        ("新的请求使用新的 Idempotency-Key。", "Use a new Idempotency-Key for a new request."),
    ),
    E.REQUEST_TIMEOUT: _text(
        ("请求接收超时", "Request timeout"),
        ("没有在期限内收到完整的请求。", "The request did not arrive completely in time."),
        ("检查网络后重新发送。", "Check the network and send again."),
    ),
    E.INTERNAL: _text(
        ("内部错误", "Internal error"),
        ("网关内部错误，已记录。", "Something went wrong inside the gateway; it was recorded."),
        (
            "用同一个 Idempotency-Key 重试；若仍失败，把 request_id 告诉运营方。",
            "Retry with the same Idempotency-Key; if it fails again, tell the operator the request_id.",
        ),
    ),
    E.RECORD_CONTRADICTED: _text(
        ("存证记录不一致", "Record contradicted"),
        (
            "保存的记录与存证日志不一致，因此没有给出结果；已告警。",
            "What is stored contradicts the audit log, so nothing was given out; an alarm was raised.",
        ),
        (
            "不要重试；保存已有的回执，把 request_id 告诉运营方。",
            "Do not retry; keep the receipt you have, and tell the operator the request_id.",
        ),
    ),
    E.OVERLOADED: _text(
        ("服务繁忙", "Overloaded"),
        ("网关暂时无法处理更多请求。", "The gateway cannot take more requests at the moment."),
        _LATER,
    ),
    E.STORE_UNAVAILABLE: _text(
        ("存储暂不可用", "Store unavailable"),
        ("存证暂不可用，因此没有给出结果。", "The audit store is not available, so no answer was given."),
        _LATER,
    ),
}
