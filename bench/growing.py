"""Requests that a stranger may let grow: every field of the protocol, filled with what parsers find hard.

For: the test that counts the work of refusing them, and ``growth``, which times it. Not for: requests that are answered.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_from_bytes

from gateway.api.strangers import TOKEN_BODY_BYTES
from gateway.identity.client import ASSERTION_TYPE

ASK = "/v1/verifications"
TOKEN = "/oauth2/token"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")

FILLERS = {
    "letters": "a",
    "signs": "#",
    "slashes": "/",
    "escapes": "%41",
    "commas": ",",
    "quotes": '"',
    "backslashes": "\\",
    "brackets": "[",
    "pairs": "[]",
    "quality": ";q=0.1,",
    "blanks": " ",
    "ampersands": "&a=",
    "dashes": "-a",
    "digits": "9",
}
"""What a text is filled with: each is hard for somebody (alternatives, separators, escapes, openings without an end)."""

MAX_FIELD = 8000
MAX_TARGET = 4000
MAX_CLAIM = 2600
"""In JSON, where a quotation mark takes two characters, and in base64url, beside the other members."""
MAX_BODY = 64_000
MAX_FORM_TEXT = (TOKEN_BODY_BYTES - 2_000) // 3
"""Beside an assertion, each character percent-encoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Somebody at a gateway: ``credentials`` gives the header fields that authenticate a request to a path.

    ``jwk`` is the public half of the proof's key, ``kid`` the name of the client's.
    """

    issuer: str
    client_id: str
    kid: str
    jwk: Mapping[str, str]
    now_s: int
    credentials: Callable[[str], Sequence[tuple[str, str]]]

    @property
    def host(self) -> str:
        return self.issuer.partition("://")[2]

    def request(
        self, method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes | None = None
    ) -> bytes:
        """Return the bytes of a request."""
        fields = [("Host", self.host), *headers]
        if body is not None:
            fields.append(("Content-Length", str(len(body))))
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n"
        return head.encode("latin-1") + (body or b"")


@dataclass(frozen=True)
class Field:
    """Something a stranger can let grow: ``build`` returns the request with so much of a filler in it."""

    largest: int
    build: Callable[[Sender, str], bytes]


def segment(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jws(header: object, claims: object) -> str:
    """A token with a signature that nobody made: everything before the signature is looked at."""
    return f"{segment(header)}.{segment(claims)}.{segment(bytes(64))}"


def proof(sender: Sender, path: str, header: dict[str, Any] | None = None, **claims: Any) -> str:
    members = {"typ": "dpop+jwt", "alg": "ES256", "jwk": dict(sender.jwk), **(header or {})}
    said = {"jti": "a-fresh-identifier", "htm": "POST", "htu": sender.issuer + path, "iat": sender.now_s, **claims}
    return jws(members, said)


def assertion(sender: Sender, header: dict[str, Any] | None = None, **claims: Any) -> str:
    now = sender.now_s
    members = {"alg": "ES256", "kid": sender.kid, **(header or {})}
    said = {
        "iss": sender.client_id,
        "sub": sender.client_id,
        "aud": sender.issuer,
        "iat": now,
        "exp": now + 60,
        "jti": "a-fresh-one",
        **claims,
    }
    return jws(members, said)


def token_request(sender: Sender, text: str = "", *, name: str = "client_assertion", given: str | None = None) -> bytes:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(sender),
    }
    form[name] = text if given is None else given
    body = "&".join(f"{key}={quote_from_bytes(value.encode())}" for key, value in form.items()).encode()
    return sender.request("POST", TOKEN, [("DPoP", proof(sender, TOKEN)), FORM], body)


def at_token(sender: Sender, dpop: str) -> bytes:
    return sender.request("POST", TOKEN, [("DPoP", dpop), FORM], b"grant_type=client_credentials&client_assertion=a")


def asking(sender: Sender, *headers: tuple[str, str], body: bytes = b"{}") -> bytes:
    kinds = {name for name, _value in headers}
    own = [JSON] if "Content-Type" not in kinds else []
    return sender.request("POST", ASK, [*sender.credentials(ASK), *own, *headers], body)


def with_query(sender: Sender, query: str) -> bytes:
    return sender.request("POST", f"{ASK}?{query}", [*sender.credentials(ASK), JSON], b"{}")


def header_field(name: str) -> Field:
    return Field(MAX_FIELD, lambda sender, text: asking(sender, (name, text.strip() or "x")))


def proof_claim(name: str) -> Field:
    return Field(MAX_CLAIM, lambda sender, text: at_token(sender, proof(sender, TOKEN, **{name: text})))


def proof_member(name: str) -> Field:
    return Field(MAX_CLAIM, lambda sender, text: at_token(sender, proof(sender, TOKEN, {name: text})))


def assertion_claim(name: str) -> Field:
    return Field(MAX_CLAIM, lambda sender, text: token_request(sender, assertion(sender, **{name: text})))


def form_field(name: str) -> Field:
    return Field(MAX_FORM_TEXT, lambda sender, text: token_request(sender, text, name=name))


def json_body(shape: Callable[[str], object]) -> Field:
    return Field(MAX_BODY // 2, lambda sender, text: asking(sender, body=json.dumps(shape(text)).encode()))


def raw_body(frame: bytes) -> Field:
    return Field(MAX_BODY, lambda sender, text: asking(sender, body=frame % text.encode()))


FIELDS: dict[str, Field] = {
    # the target
    "path": Field(MAX_TARGET, lambda sender, text: sender.request("GET", f"/{_as_target(text)}")),
    "path of a tile": Field(
        MAX_TARGET, lambda sender, text: sender.request("GET", f"/v1/log/tile/0/{_as_target(text)}")
    ),
    "path of an answer": Field(MAX_TARGET, lambda sender, text: sender.request("GET", f"{ASK}/{_as_target(text)}")),
    "query": Field(MAX_TARGET, lambda sender, text: with_query(sender, _as_target(text))),
    "query of the log": Field(
        MAX_TARGET, lambda sender, text: sender.request("GET", f"/v1/log/proofs/inclusion?index={_as_target(text)}")
    ),
    # header fields
    "Authorization": Field(
        MAX_FIELD, lambda sender, text: sender.request("POST", ASK, [("Authorization", text.strip() or "x")], b"")
    ),
    "token": Field(
        MAX_FIELD, lambda sender, text: sender.request("POST", ASK, [("Authorization", f"DPoP {text}".strip())], b"")
    ),
    "token's header": Field(
        MAX_CLAIM,
        lambda sender, text: sender.request(
            "POST",
            ASK,
            [("Authorization", f"DPoP {jws({'typ': 'at+jwt', 'alg': 'ES256', 'kid': text}, {})}")],
            b"",
        ),
    ),
    "DPoP": Field(MAX_FIELD, lambda sender, text: at_token(sender, text.strip() or "x")),
    **{name: header_field(name) for name in ("Idempotency-Key", "Accept-Language", "Content-Type", "traceparent")},
    **{name: header_field(name) for name in ("Content-Encoding", "User-Agent", "Cookie", "Accept", "X-Unknown")},
    "quoted Idempotency-Key": Field(MAX_FIELD, lambda sender, text: asking(sender, ("Idempotency-Key", f'"{text}"'))),
    "charset": Field(
        MAX_FIELD, lambda sender, text: asking(sender, ("Content-Type", f"application/json;{text}charset=".strip()))
    ),
    "If-None-Match": Field(
        MAX_FIELD,
        lambda sender, text: sender.request(
            "GET", "/.well-known/oauth-authorization-server", [("If-None-Match", text.strip() or "x")]
        ),
    ),
    "Host": Field(
        MAX_FIELD,
        lambda sender, text: sender.request("GET", "/healthz").replace(
            sender.host.encode(), text.strip().encode() or b"x", 1
        ),
    ),
    # the proof of possession
    **{f"proof: {name}": proof_claim(name) for name in ("htu", "htm", "jti", "nonce", "ath", "iat", "unknown")},
    **{f"proof: header {name}": proof_member(name) for name in ("kid", "typ", "alg", "jwk", "x5c", "unknown")},
    "proof: htu with a query": Field(
        MAX_CLAIM, lambda sender, text: at_token(sender, proof(sender, TOKEN, htu=f"{sender.issuer}{TOKEN}?{text} "))
    ),
    "proof: htu with a path": Field(
        MAX_CLAIM, lambda sender, text: at_token(sender, proof(sender, TOKEN, htu=f"{sender.issuer}/{text} "))
    ),
    "proof: htu with a host": Field(
        MAX_CLAIM, lambda sender, text: at_token(sender, proof(sender, TOKEN, htu=f"https://{text}"))
    ),
    "proof: jwk's x": Field(
        MAX_CLAIM, lambda sender, text: at_token(sender, proof(sender, TOKEN, {"jwk": {**sender.jwk, "x": text}}))
    ),
    "proof: RSA modulus": Field(
        MAX_CLAIM,
        lambda sender, text: at_token(
            sender, proof(sender, TOKEN, {"alg": "PS256", "jwk": {"kty": "RSA", "e": "AQAB", "n": text}})
        ),
    ),
    # the client's assertion
    **{f"assertion: {name}": assertion_claim(name) for name in ("iss", "sub", "aud", "jti", "exp", "unknown")},
    "assertion: kid": Field(MAX_CLAIM, lambda sender, text: token_request(sender, assertion(sender, {"kid": text}))),
    "assertion: audiences": Field(
        MAX_CLAIM, lambda sender, text: token_request(sender, assertion(sender, aud=list(text)))
    ),
    # the form
    **{
        f"form: {name}": form_field(name)
        for name in (
            "client_assertion",
            "client_assertion_type",
            "client_id",
            "grant_type",
            "scope",
            "resource",
            "client_secret",
            "unknown",
        )
    },
    "form: raw": Field(
        TOKEN_BODY_BYTES,
        lambda sender, text: sender.request("POST", TOKEN, [("DPoP", proof(sender, TOKEN)), FORM], text.encode()),
    ),
    # the question
    "body: raw": raw_body(b"%b"),
    "body: a text": raw_body(b'{"subject":"%b'),
    "body: an array": raw_body(b"[%b]"),
    "body: business_ref": json_body(lambda text: {"business_ref": text}),
    "body: name": json_body(lambda text: {"subject": {"name": text}}),
    "body: code": json_body(lambda text: {"subject": {"uscc": text}}),
    "body: purpose": json_body(lambda text: {"purpose": text}),
    "body: unknown members": json_body(lambda text: {f"{char}{at}": 0 for at, char in enumerate(text[::8])}),
    "body: unknown members of the subject": json_body(
        lambda text: {"subject": {f"{char}{at}": 0 for at, char in enumerate(text[::8])}}
    ),
    "body: a list": json_body(lambda text: {"subject": list(text[::4])}),
    "body: escapes": raw_body(b'{"business_ref":"' + rb"\u0041" * 4 + b'%b"}'),
}


def filled(filler: str, size: int) -> str:
    """So many characters of a filler."""
    return (FILLERS[filler] * size)[:size]


def _as_target(text: str) -> str:
    """As it can stand in a request line."""
    return text.replace(" ", "+")
