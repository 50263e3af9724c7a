"""B0: aiohttp with nothing on it, and the price of one ES256 verification. Together they are LIM, the floor of an answer.

B0 takes the bytes of a real call (token, proof and a body of 150 bytes) and answers 800 bytes of JSON without looking at
them. The gateway stands on the same server, so whatever it costs beyond B0 is its own.

B0V verifies one fixed signature for each request as well. It shows what LIM leaves out: server and curve in one process drive each
other out of the processor's caches, and a reader that is answered more slowly falls asleep between two answers.
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


def verifying_application() -> web.Application:
    """Return the application of B0V."""
    signed = _Signed()

    async def answer(request: web.Request) -> web.Response:
        signed.verify()
        return await _answer(request)

    application = web.Application()
    application.router.add_post("/v1/verifications", answer)
    return application


async def _answer(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=ANSWER, content_type="application/json")


class _Signed:
    """A message as long as a proof, and its ES256 signature."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self._algorithm = ec.ECDSA(hashes.SHA256())
        self._message = secrets.token_bytes(420)
        self._signature = key.sign(self._message, self._algorithm)
        self._public = key.public_key()

    def verify(self) -> None:
        self._public.verify(self._signature, self._message, self._algorithm)


def verify_seconds(rounds: int = 4000) -> float:
    """Return the seconds of one ES256 verification of a message as long as a proof, on the core this process is on."""
    signed = _Signed()
    for _ in range(rounds // 10):
        signed.verify()
    started = time.thread_time()
    for _ in range(rounds):
        signed.verify()
    return (time.thread_time() - started) / rounds
