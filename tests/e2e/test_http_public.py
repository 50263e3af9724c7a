"""The routes for anyone: the log's face, the status, the documents; and the admin port."""

from __future__ import annotations

import base64

import pytest

from gateway.api.admin import AdminNeeds
from gateway.api.edge import Observers, admin_front
from gateway.base.clock import Millis
from gateway.base.errors import ErrorKind
from gateway.credit.facts import SourceState
from gateway.web.limits import HttpLimits
from gateway.web.server import start_server
from tests.fakes.use_cases import (
    ISSUER,
    NOW,
    FakeSource,
    Loopback,
    RecordingLog,
    RecordingMetrics,
    StandingClock,
    World,
    listening_socket,
    running,
)


class TestLog:
    async def test_the_checkpoint_is_plain_text(self):
        async with running() as gateway:
            answer = await gateway.request("GET", "/v1/log/checkpoint")

            assert answer.header("Content-Type") == "text/plain; charset=utf-8"
            assert answer.body.startswith(b"gateway.example/log\n300\n")

    @pytest.mark.parametrize(
        ("path", "size", "cache"),
        [
            ("0/000", 256, "public, max-age=31536000, immutable"),
            ("0/001.p/44", 44, "public, max-age=1"),
            ("1/000.p/1", 1, "public, max-age=1"),
        ],
    )
    async def test_tiles_are_bytes(self, path, size, cache):
        async with running() as gateway:
            answer = await gateway.request("GET", f"/v1/log/tile/{path}")

            assert (answer.status, len(answer.body), answer.header("Cache-Control")) == (200, 32 * size, cache)
            assert answer.header("Content-Type") == "application/octet-stream"

    @pytest.mark.parametrize(
        "path",
        [
            "0/001",
            "0/001.p/45",
            "0/1",
            "64/000",
            "0/000.p/256",
            "0/000.p/0",
            "x/000",
            "0/x000/001",
            "0/000/",
            "entries",
        ],
    )
    async def test_what_is_no_tile_is_not_found(self, path):
        async with running() as gateway:
            answer = await gateway.request("GET", f"/v1/log/tile/{path}")

            assert (answer.status, answer.json["code"]) == (404, "not_found")

    async def test_entry_bundles_are_refused_with_the_reason(self):
        async with running() as gateway:
            answer = await gateway.request("GET", "/v1/log/tile/entries/000", [("Accept-Language", "en")])

            assert answer.status == 404
            assert answer.json["errors"] == [
                {
                    "path": "",
                    "code": "entries_not_public",
                    "message": "Entries are not public; the hashes of the tree and proofs are.",
                }
            ]

    async def test_proofs(self):
        async with running() as gateway:
            inclusion = await gateway.request("GET", "/v1/log/proofs/inclusion?index=3&size=5")
            consistency = await gateway.request("GET", "/v1/log/proofs/consistency?from=3&to=5")

            assert inclusion.body.startswith(b"c2sp.org/tlog-proof@v1\nindex 3\n")
            assert consistency.json == {"from": 3, "to": 5, "hashes": [base64.b64encode(bytes(32)).decode()]}

    @pytest.mark.parametrize(
        ("query", "faults"),
        [
            ("", [("/query/index", "required")]),
            ("index=-1&size=x", [("/query/index", "not_a_number"), ("/query/size", "not_a_number")]),
            ("index=1&index=1", [("/query/index", "repeated")]),
            ("index=" + "9" * 40, [("/query/index", "not_a_number")]),
            ("index=007", [("/query/index", "not_a_number")]),
            ("index=%ff", [("/query", "invalid")]),
            ("&".join(["x=1"] * 100), [("/query", "invalid")]),
        ],
    )
    async def test_bad_parameters_are_all_named(self, query, faults):
        async with running() as gateway:
            answer = await gateway.request("GET", f"/v1/log/proofs/inclusion?{query}")

            assert (answer.status, answer.json["code"]) == (400, "invalid_request")
            assert [(fault["path"], fault["code"]) for fault in answer.json["errors"]] == faults

    @pytest.mark.parametrize(
        "target",
        [
            "inclusion?index=300",
            "inclusion?index=5&size=5",
            "inclusion?index=1&size=301",
            "consistency?from=5&to=3",
            "consistency?from=1&to=301",
        ],
    )
    async def test_what_is_beyond_the_log_is_not_found(self, target):
        async with running() as gateway:
            assert (await gateway.request("GET", f"/v1/log/proofs/{target}")).status == 404


class TestStatus:
    async def test_a_fresh_source(self):
        async with running() as gateway:
            answer = await gateway.request("GET", "/v1/status")

            assert answer.json == {
                "time": "2026-11-22T08:00:00.000Z",
                "source": {"version": 42, "as_of": "2026-11-22T07:00:00.000Z", "age_s": 3600, "stale": False},
            }

    async def test_a_stale_source(self):
        old = FakeSource(SourceState("municipal", 41, Millis(NOW - 86_400_001), 0))
        async with running(World(source=old)) as gateway:
            assert (await gateway.request("GET", "/v1/status")).json["source"]["stale"] is True

    async def test_no_source_yet(self):
        async with running(World(source=FakeSource(None))) as gateway:
            answer = await gateway.request("GET", "/v1/status")

            assert answer.json["source"] == {"version": None, "as_of": None, "age_s": None, "stale": True}


class TestDocuments:
    async def test_the_root_says_where_to_begin_and_every_link_resolves(self):
        async with running() as gateway:
            pointer = (await gateway.request("GET", "/")).json
            targets = [str(pointer[name]).removeprefix(ISSUER) for name in ("openapi", "metadata", "errors")]

            assert [(await gateway.request("GET", target)).status for target in targets] == [200, 200, 200]

    @pytest.mark.parametrize("kind", list(ErrorKind))
    async def test_the_type_of_every_problem_resolves(self, kind):
        async with running() as gateway:
            page = await gateway.request("GET", f"/docs/errors/{kind.value}")

            assert (page.status, page.json["code"]) == (200, kind.value)
            assert set(page.json["title"]) == {"zh", "en"}

    async def test_a_browser_gets_a_page_in_both_languages(self):
        async with running() as gateway:
            page = await gateway.request("GET", "/docs/errors/validation_failed", [("Accept", "text/html,*/*;q=0.8")])
            index = await gateway.request("GET", "/docs/errors", [("Accept", "text/html")])

            assert page.header("Content-Type") == "text/html; charset=utf-8"
            assert "请求参数有误 / Validation failed" in page.body.decode()
            assert '<a href="/docs/errors/not_found">' in index.body.decode()

    async def test_a_code_we_do_not_use_has_no_page(self):
        async with running() as gateway:
            assert (await gateway.request("GET", "/docs/errors/nonsense")).status == 404


class TestAdmin:
    async def _admin(self, reasons: tuple[str, ...]) -> Loopback:
        async def why() -> tuple[str, ...]:
            return reasons

        observers = Observers(log=RecordingLog(), metrics=RecordingMetrics())
        needs = AdminNeeds(reasons=why, metrics=lambda: b"gateway_build_info 1\n")
        sock = listening_socket()
        server = await start_server(admin_front(needs, ISSUER, StandingClock(), observers), sock, HttpLimits())
        return Loopback(World(), server, sock.getsockname()[1])

    async def test_probes_under_any_host(self):
        admin = await self._admin(())
        answer = await admin.raw(b"GET /readyz HTTP/1.1\r\nHost: 10.0.0.7:9090\r\n\r\n")
        alive = await admin.request("GET", "/livez")
        await admin.close()

        assert (answer.status, answer.json) == (200, {"ready": True, "reasons": []})
        assert alive.json == {"alive": True}

    async def test_not_ready_is_503_with_reasons(self):
        admin = await self._admin(("store_unreachable", "feed_stale"))
        answer = await admin.request("GET", "/readyz")
        await admin.close()

        assert (answer.status, answer.json["reasons"]) == (503, ["store_unreachable", "feed_stale"])

    async def test_metrics_are_the_text_that_was_given(self):
        admin = await self._admin(())
        answer = await admin.request("GET", "/metrics")
        await admin.close()

        assert answer.body == b"gateway_build_info 1\n"
        assert (answer.header("Content-Type") or "").startswith("text/plain; version=0.0.4")
