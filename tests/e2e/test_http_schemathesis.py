"""The OpenAPI document against the running server: whatever it allows is accepted, whatever it forbids is refused, as documented.

A schema cannot describe a signature or a check character, so proofs, tokens and codes are made here where a case is meant to be good.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.core.parameters import ParameterLocation

from gateway.api.openapi import EXAMPLE_ISSUER, document
from tests.fakes.use_cases import Loopback, World, running

_READY_S = 10

schemathesis.openapi.format(
    "uscc", st.sampled_from(["919900000000000192", " 91990000000000027W ", "91990000000000035P"])
)
schemathesis.openapi.format("party-name", st.sampled_from(["沙箱测试商户01有限公司", "A b"]))
schema = schemathesis.openapi.from_dict(document(EXAMPLE_ISSUER))


class _Background:
    """A gateway of fakes on an event loop in a thread of its own, because Schemathesis calls synchronously."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._done = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="gateway-of-fakes")
        self.loopback: Loopback | None = None
        self._thread.start()
        assert self._ready.wait(_READY_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        async with running(on_loopback=True) as loopback:
            self.loopback = loopback
            self._ready.set()
            await self._done.wait()

    @property
    def world(self) -> World:
        assert self.loopback is not None
        return self.loopback.world

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(_READY_S)


@pytest.fixture(scope="module")
def background() -> Iterator[_Background]:
    server = _Background()
    yield server
    server.stop()


def _is_good(case: schemathesis.Case, location: ParameterLocation) -> bool:
    component = case.meta.components.get(location) if case.meta is not None else None
    return component is None or component.mode.is_positive


def _sign(case: schemathesis.Case, world: World) -> dict[str, str]:
    """Return real credentials for a case whose header fields are meant to be good."""
    url: Any = case.as_transport_kwargs(base_url=world.issuer)["url"]
    path = urlsplit(str(requests.Request(case.method, url).prepare().url)).path
    if case.path == "/oauth2/token":
        if _is_good(case, ParameterLocation.BODY):
            case.body = dict(world.form())
        return {"DPoP": world.proof(path, None)}
    token = world.token()
    return {"Authorization": f"DPoP {token}", "DPoP": world.proof(path, token, method=case.method)}


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_document_and_the_server_agree(case, background):
    protected = case.path.startswith("/v1/verifications") or case.path == "/oauth2/token"
    headers = _sign(case, background.world) if protected and _is_good(case, ParameterLocation.HEADER) else None

    case.call_and_validate(base_url=background.world.issuer, headers=headers)


@pytest.mark.parametrize("path", ["/v1/verifications", "/v1/verifications/ver_01KAMXK5C0Y8QH2W4R6T9V1B3D"])
def test_without_credentials_nothing_is_told(path, background):
    method = "POST" if path.endswith("verifications") else "GET"
    answer = requests.request(method, background.world.issuer + path, timeout=_READY_S)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["Cache-Control"] == "no-store"
