"""Paths are matched as they were sent, whole."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gateway.base.clock import Millis
from gateway.base.errors import ErrorKind, GatewayError
from gateway.web.activity import Activity
from gateway.web.exchange import Exchange, Reply, Route
from gateway.web.routes import RouteTable


async def handler(_exchange: Exchange) -> Reply:
    return Reply(status=200, body=b"")


def route(method: str, template: str) -> Route:
    return Route(method=method, template=template, handler=handler)


TABLE = RouteTable(
    [
        route("GET", "/a"),
        route("POST", "/a"),
        route("GET", "/a/{id}"),
        route("GET", "/t/{path...}"),
        route("GET", "/a.b"),
    ]
)


def exchange(path: str) -> Exchange:
    return Exchange(SimpleNamespace(raw_path=path), "req_1", Millis(0), Activity(1))


@pytest.mark.parametrize(
    ("path", "template", "params"),
    [
        ("/a", "/a", ()),
        ("/a?x=/b", "/a", ()),
        ("/a/x-1_Z", "/a/{id}", ("x-1_Z",)),
        ("/t/0/x001/067.p/3", "/t/{path...}", ("0/x001/067.p/3",)),
        ("/a.b", "/a.b", ()),
    ],
)
def test_a_path_finds_its_route(path, template, params):
    given = exchange(path)

    assert TABLE.find(given, "GET").template == template
    assert (given.template, given.params) == (template, params)


@pytest.mark.parametrize(
    "path", ["", "/", "/A", "/a/", "/a/x/y", "/a/%41", "/a/" + "x" * 65, "/aXb", "/a/ü", "/a/x\n", "/t/"]
)
def test_any_other_path_is_not_found(path):
    with pytest.raises(GatewayError) as caught:
        TABLE.find(exchange(path), "GET")

    assert caught.value.kind is ErrorKind.NOT_FOUND


def test_another_method_is_not_allowed_and_told_which_are():
    given = exchange("/a")
    with pytest.raises(GatewayError) as caught:
        TABLE.find(given, "DELETE")

    assert caught.value.kind is ErrorKind.METHOD_NOT_ALLOWED
    assert (given.template, given.extra) == ("/a", [("Allow", "GET, HEAD, POST")])


def test_head_is_served_where_get_is():
    assert TABLE.find(exchange("/a"), "HEAD").method == "GET"


def test_two_routes_for_one_method_and_path_are_a_mistake():
    with pytest.raises(ValueError, match="two routes"):
        RouteTable([route("GET", "/a"), route("GET", "/a")])
