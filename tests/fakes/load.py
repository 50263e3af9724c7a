"""Partners at work: clients that ask and ask, and a history of everything they were told.

Each client behaves as a partner's program should: a fresh proof for each request, ``Retry-After`` obeyed, a question whose answer got lost
sent again, first as the very same request, then with a new proof under the same idempotency key. The history is written as JSON lines the
moment an answer arrives; what it means is judged afterwards by ``tests.faults.checkers``, not here.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from gateway.base.canonical import canonical_json, parse_json_object
from tests.fakes import gateway as kit
from tests.fakes.gateway import PartnerClient, question

PATH = "/v1/verifications"
SUBJECTS = (kit.CLEAR, kit.ABNORMAL, kit.SERIOUS, kit.DISPUTED, kit.DEFAULTER, kit.UNKNOWN, kit.PARTIAL)
PATIENCE_S = 0.1
"""How long a refused client waits at most, whatever ``Retry-After`` asks: the tests are short."""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer with a status, or ``status`` 0 and the kind of the loss."""

    status: int
    proof: str
    key: str
    body: str
    document: str
    retry_after: str | None = None


class History:
    """Everything that any client was told, in memory and in a file of JSON lines."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.told: list[Told] = []
        self._news = asyncio.Event()

    def note(self, told: Told) -> None:
        """Keep what a client was told, before it does anything else."""
        with self.file.open("ab") as stream:
            line = {name: getattr(told, name) for name in Told.__slots__ if getattr(told, name) is not None}
            stream.write(canonical_json(line) + b"\n")
        self.told.append(told)
        self._news.set()

    def count(self, *statuses: int) -> int:
        """Return how often clients were told one of these statuses."""
        return sum(told.status in statuses for told in self.told)

    @property
    def answers(self) -> int:
        """The number of answers."""
        return self.count(200)

    @property
    def lost(self) -> int:
        """The number of requests that got no answer."""
        return self.count(0)

    async def until(self, met: Callable[[], object], within_s: float = 30.0) -> None:
        """Wait until what has been told meets a condition."""
        try:
            async with asyncio.timeout(within_s):
                while not met():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            counts = {status: self.count(status) for status in {told.status for told in self.told}}
            msg = f"not met within {within_s} s; told so far: {counts}, last: {self.told[-1:]}"
            raise AssertionError(msg) from None

    async def more_answers(self, number: int, within_s: float = 30.0) -> None:
        """Wait for that many further answers."""
        wanted = self.answers + number
        await self.until(lambda: self.answers >= wanted, within_s)


@dataclass
class Asker:
    """One client that asks until told to stop."""

    client: PartnerClient
    history: History
    stopping: asyncio.Event
    rng: random.Random
    current: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Ask one question after another, each until it is answered."""
        while not self.stopping.is_set():
            body = question(self.rng.choice(SUBJECTS), business_ref=f"C-{next(_numbers)}")
            await self._until_answered(body, f"key-{next(_numbers)}")

    async def _until_answered(self, body: bytes, key: str) -> None:
        again: str | None = None
        while True:
            proof = again or self.client.proof("POST", PATH)
            told = await self._ask(body, key, proof)
            if told.status == 200 or self.stopping.is_set():
                return
            # The very same request again, once: it may have been committed, or never have arrived.
            again = proof if told.status == 0 and again is None else None
            if (
                told.status == 401
                and "use_dpop_nonce" not in told.document
                and "invalid_dpop_proof" not in told.document
            ):
                await self._sign_in()
            elif told.status in {0, 429, 503}:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE_S):
                        await self.stopping.wait()

    async def _ask(self, body: bytes, key: str, proof: str) -> Told:
        values: dict[str, Any] = {"proof": proof, "key": key, "body": body.decode()}
        try:
            status, headers, content = await self.client.send("POST", PATH, body, proof=proof, Idempotency_Key=key)
            told = Told(status=status, document=content.decode(), retry_after=headers.get("Retry-After"), **values)
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            told = Told(status=0, document=type(exc).__name__, **values)
        self.history.note(told)
        return told

    async def _sign_in(self) -> None:
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, AssertionError):
            await self.client.sign_in()


@asynccontextmanager
async def under_load(clients: Sequence[PartnerClient], file: Path, seed: int = 1) -> AsyncIterator[History]:
    """Keep all clients asking for the length of a block; every request that is on its way at its end is waited for."""
    history, stopping = History(file), asyncio.Event()
    askers = [Asker(client, history, stopping, random.Random(seed + number)) for number, client in enumerate(clients)]
    async with asyncio.TaskGroup() as group:
        for asker in askers:
            group.create_task(asker.run(), name="asker")
        try:
            yield history
        finally:
            stopping.set()


def parse_history(file: Path) -> list[dict[str, Any]]:
    """Read a history back."""
    return [parse_json_object(line) for line in file.read_bytes().splitlines()]
