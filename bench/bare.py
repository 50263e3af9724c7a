"""B0: aiohttp with nothing on it, and the price of one ES256 verification. Together they are LIM, the floor of an answer.

B0 takes the bytes of a real call (token, proof and a body of 150 bytes) and answers 800 bytes of JSON without looking at
them. The gateway stands on the same server, so whatever it costs beyond B0 is its own.
"""

from __future__ import annotations

import secrets
import time
from typing import Final

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

_FRAME: Final = b'{"outcome":"clear","padding":"%s"}'
ANSWER: Final = _FRAME % (b"x" * (800 - len(_FRAME) + 2))


def bare_application() -> web.Application:
    """Return the application of B0."""
    application = web.Application()
    application.router.add_post("/v1/verifications", _answer)
    return application


async def _answer(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=ANSWER, content_type="application/json")


def verify_seconds(rounds: int = 4000) -> float:
    """Return the seconds of one ES256 verification of a message as long as a proof, on the core this process is on."""
    key = ec.generate_private_key(ec.SECP256R1())
    public, algorithm = key.public_key(), ec.ECDSA(hashes.SHA256())
    message = secrets.token_bytes(420)
    signature = key.sign(message, algorithm)
    for _ in range(rounds // 10):
        public.verify(signature, message, algorithm)
    started = time.thread_time()
    for _ in range(rounds):
        public.verify(signature, message, algorithm)
    return (time.thread_time() - started) / rounds
