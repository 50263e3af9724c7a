"""The database connections of a worker, apart by who makes it need them.

For: keeping a flood of strangers away from the partners' connections. The public log and the token endpoint have small pools of their own;
when those are exhausted, who asks there is told to come back (``OVERLOADED``, 503), and a partner's look-up notices nothing.
Not for: the committer's connection, which is its own (``gateway.wiring.log``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from gateway.base.settings import Settings
from gateway.postgres.pool import Pool, PoolSize, Target, open_pool

STRANGERS_CONNECTIONS: Final = 2
"""Of each of the small pools: one query runs while another's answer is being read."""
PUBLIC_ACQUIRE_S: Final = 1.0
"""How long a reader of the public log waits for a connection: monitors come back, and a longer queue would only be older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """``partners`` answers authenticated requests, ``tokens`` the token endpoint, ``public`` the log's face and the status."""

    partners: Pool
    tokens: Pool
    public: Pool


@asynccontextmanager
async def open_pools(settings: Settings, *, process: str) -> AsyncIterator[Pools]:
    """Open the pools of a worker for the length of a block, each with its first connection."""
    small = PoolSize(minimum=1, maximum=STRANGERS_CONNECTIONS)
    async with AsyncExitStack() as stack:

        async def opened(name: str, size: PoolSize) -> Pool:
            pool = await open_pool(Target(dsn=settings.database_dsn, application_name=name), size)
            stack.push_async_callback(pool.close)
            return pool

        own = f"credit-gateway {process}"
        yield Pools(
            partners=await opened(own, PoolSize(minimum=1, maximum=settings.pool_size)),
            tokens=await opened(f"{own} tokens", small),
            public=await opened(f"{own} public", small),
        )
