"""Connections to PostgreSQL, with every deadline written out.

For: the pool of the reading stores, the committer's own connection, and short operator connections.
Not for: deciding what to do when a connection is lost; each store says that for itself.

The limits stand twice, on purpose: here as settings the server enforces when this process hangs, and in the stores as
deadlines of ours for when the server does. asyncpg's ``timeout`` alone is not enough: to cancel, it opens another
connection and waits for it.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import asyncpg
from asyncpg.exceptions import InterfaceError, InternalClientError, PostgresError

from gateway.base.errors import ErrorKind, GatewayError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from gateway.base.secret import Secret

CONNECT_DEADLINE_S: Final = 5.0
COMMAND_DEADLINE_S: Final = 10.0
IDLE_CONNECTION_LIFETIME_S: Final = 300.0
BUSY_RETRY_S: Final = 1
ACQUIRE_DEADLINE_S: Final = 2.0
"""How long a request waits for a free connection before it is answered 503; used by the stores."""

SERVER_AWAY: Final = (OSError, TimeoutError, InterfaceError, InternalClientError, PostgresError)
"""What asyncpg raises when the server is away, refuses, or ends a session; ``InternalClientError`` is how it reports that the server
ended a session while it was idle. A store names what it catches with this and turns it into its own error."""

BASE_SETTINGS: Final[Mapping[str, str]] = {
    "lock_timeout": "2s",
    "statement_timeout": "5s",
    "idle_in_transaction_session_timeout": "2s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20s",
    "search_path": "pg_catalog",
    "timezone": "UTC",
    "jit": "off",
}
"""For serving. A stopped or unplugged worker must not hold a lock: the server ends its session within two seconds."""

COMMITTER_SETTINGS: Final[Mapping[str, str]] = {
    **BASE_SETTINGS,
    # A COMMIT that waits for its standby may not be cut short: a cut one looks like success. The committer has
    # deadlines of its own around every statement before COMMIT.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "1s",
}
LOADER_SETTINGS: Final[Mapping[str, str]] = {
    **BASE_SETTINGS,
    # The feed applies a version of a million records in one transaction; it locks nothing that requests need.
    "statement_timeout": "300s",
    "idle_in_transaction_session_timeout": "60s",
}

# asyncpg carries no types. These names say what a value is where the checker cannot.
Connection: TypeAlias = Any
"""An ``asyncpg.Connection``."""
Pool: TypeAlias = Any
"""An ``asyncpg.Pool``."""
Row: TypeAlias = Any
"""An ``asyncpg.Record``."""

_connect: Final[Callable[..., Awaitable[Any]]] = asyncpg.connect
_create_pool: Final[Callable[..., Awaitable[Any]]] = asyncpg.create_pool


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSize:
    """How many connections a process keeps, and how many it may open."""

    minimum: int = 1
    maximum: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A database, who we say we are to it, and the limits the server enforces on our sessions."""

    dsn: Secret
    application_name: str
    settings: Mapping[str, str] = field(default_factory=lambda: BASE_SETTINGS)


async def connect(target: Target) -> Connection:
    """Open one connection; raises what asyncpg raises, ``OSError`` or ``TimeoutError``."""
    return await _connect(
        target.dsn.reveal().decode(),
        timeout=CONNECT_DEADLINE_S,
        command_timeout=None if target.settings is COMMITTER_SETTINGS else COMMAND_DEADLINE_S,
        server_settings={**target.settings, "application_name": target.application_name},
    )


async def open_pool(target: Target, size: PoolSize | None = None) -> Pool:
    """Open a pool and its first connection, so that a wrong DSN shows at start and not at the first request."""
    chosen = size or PoolSize()
    return await _create_pool(
        target.dsn.reveal().decode(),
        min_size=chosen.minimum,
        max_size=chosen.maximum,
        timeout=CONNECT_DEADLINE_S,
        command_timeout=COMMAND_DEADLINE_S,
        max_inactive_connection_lifetime=IDLE_CONNECTION_LIFETIME_S,
        server_settings={**target.settings, "application_name": target.application_name},
    )


@asynccontextmanager
async def borrow(pool: Pool, *, timeout_s: float) -> AsyncIterator[Connection]:
    """Hold a connection of a pool for the length of a block, waiting for it ``timeout_s`` at most.

    That others hold them all is no failure of the database and is told apart from one. Whatever is raised inside, or by a database that
    cannot be connected to, passes through.

    Raises:
        GatewayError: ``OVERLOADED`` where every connection the pool may have is open and none came free.
    """
    try:
        connection = await pool.acquire(timeout=timeout_s)
    except TimeoutError as exc:
        if pool.get_size() < pool.get_max_size():  # one was being opened, in vain
            raise
        raise GatewayError(ErrorKind.OVERLOADED, reason="database_busy", retry_after_s=BUSY_RETRY_S) from exc
    try:
        yield connection
    finally:
        await pool.release(connection)


@asynccontextmanager
async def replica_failures() -> AsyncIterator[None]:
    """Turn what asyncpg raises while the replica is read or written into ``STORE_UNAVAILABLE``, cause kept."""
    try:
        yield
    except SERVER_AWAY as exc:
        raise GatewayError(
            ErrorKind.STORE_UNAVAILABLE, reason="replica_unavailable", facts={"cause": type(exc).__name__}
        ) from exc
