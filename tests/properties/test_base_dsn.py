"""A connection URI is read as asyncpg reads it: what we call this host is where it would connect."""

from __future__ import annotations

from urllib.parse import quote

import asyncpg.connect_utils
from hypothesis import given
from hypothesis import strategies as st

from gateway.base.dsn import DsnError, is_local, parse_dsn

HOST = st.one_of(
    st.sampled_from(
        ["localhost", "127.0.0.1", "[::1]", "db", "db.example.cn", "10.0.0.7", "%2Frun%2Fpostgresql", "[fe80::7]"]
    ),
    st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True),
)
HOSTS = st.lists(st.tuples(HOST, st.sampled_from(["", ":5432", ":1"])), max_size=3).map(
    lambda items: ",".join(host + port for host, port in items)
)
USER = st.sampled_from(["", "u@", "u:p@", "u:p%40x@", "u:p@q@"])
MEMBERS = st.dictionaries(
    st.sampled_from(["host", "sslmode", "port", "application_name"]),
    st.sampled_from(["/run/postgresql", "db2", "127.0.0.1", "verify-full", "require", "disable", "5432"]),
    max_size=3,
)
DEFAULTS = {"/run/postgresql", "/var/run/postgresql", "/tmp", "/private/tmp", "localhost"}


def where_asyncpg_goes(text: str) -> set[str]:
    """The hosts asyncpg would try: its own reading, with nothing else given."""
    addresses, _ = asyncpg.connect_utils._parse_connect_dsn_and_args(
        dsn=text, host=None, port=None, user="u", password="p", passfile=None, database="d", ssl=False,
        service=None, servicefile=None, direct_tls=None, server_settings=None, target_session_attrs=None,
        krbsrvname=None, gsslib=None,
    )  # fmt: skip
    return {address.rpartition("/.s.PGSQL")[0] if isinstance(address, str) else address[0] for address in addresses}


@given(USER, HOSTS, MEMBERS)
def test_hosts_are_those_that_asyncpg_would_try(user: str, hosts: str, members: dict[str, str]):
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in members.items())
    text = f"postgresql://{user}{hosts}/gateway" + (f"?{query}" if query else "")
    try:
        theirs = where_asyncpg_goes(text)
    except (ValueError, asyncpg.InterfaceError):
        return  # it would not connect anywhere
    try:
        ours = parse_dsn(text, {})
    except DsnError:
        return  # refused: nothing starts

    assert set(ours.hosts or DEFAULTS) == theirs
    assert bool(ours.beyond) == any(not is_local(host) for host in theirs)
    assert ours.sslmode == members.get("sslmode", "")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str):
    for candidate in (text, f"postgresql://{text}", f"postgresql://h/d?{text}"):
        try:
            parse_dsn(candidate, {})
        except DsnError:
            continue
