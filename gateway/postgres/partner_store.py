"""Partners and their keys on PostgreSQL: found for the token endpoint, changed by operators.

For: ``gateway.identity.ports.PartnerDirectory`` (through a pool, uncached: only the token endpoint asks), and the
operator's changes. Each takes a connection inside the transaction of its own audit leaf: both happen or neither.
Not for: the exact check that a key is live, which the audit commit does itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.base.canonical import canonical_json
from gateway.base.errors import ErrorKind, GatewayError
from gateway.identity.jwk import THUMBPRINT, Algorithm
from gateway.identity.key_policy import SubmittedKey, register_key
from gateway.identity.partner import (
    LIVE_STATES,
    Client,
    KeyPurpose,
    KeyState,
    Partner,
    PartnerState,
    RegisteredKey,
    StoredClient,
    StoredKey,
    revoke_key,
)
from gateway.postgres.pool import ACQUIRE_DEADLINE_S, SERVER_AWAY, Connection, Pool, Row, borrow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.base.clock import Millis
    from gateway.postgres.queries import Queries

FIND_DEADLINE_S: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPartner:
    """A partner with the number of keys it can authenticate with."""

    partner: Partner
    live_keys: int


class PostgresPartnerDirectory:
    """``PartnerDirectory`` through a pool. A client that does not exist costs the same one query, and one row comes back."""

    def __init__(self, pool: Pool, queries: Queries) -> None:
        self._pool: Final = pool
        self._find: Final = queries["find_candidates"]

    async def find_client(self, client_id: str, kid: str | None) -> StoredClient | None:
        """Return the client with its keys of that name, or None.

        Raises:
            GatewayError: ``STORE_UNAVAILABLE`` if the database does not answer, ``OVERLOADED`` if no connection came free.
        """
        try:
            async with asyncio.timeout(FIND_DEADLINE_S):
                async with borrow(self._pool, timeout_s=ACQUIRE_DEADLINE_S) as connection:
                    rows = await connection.fetch(self._find, client_id, kid)
        except SERVER_AWAY as exc:
            raise GatewayError(ErrorKind.STORE_UNAVAILABLE, facts={"error": type(exc).__name__}) from exc
        keys = [(row["is_key"], _stored_key(row)) for row in rows]
        client = StoredClient(partner=_partner(rows[0]), keys=tuple(key for is_key, key in keys if is_key))
        return client if rows[0]["is_client"] else None


async def list_partners(connection: Connection, queries: Queries) -> tuple[ListedPartner, ...]:
    """Return all partners, by client identifier."""
    rows = await connection.fetch(queries["list_partners"])
    return tuple(ListedPartner(partner=_partner(row), live_keys=row["live_keys"]) for row in rows)


async def list_keys(connection: Connection, queries: Queries, client_id: str) -> tuple[RegisteredKey, ...]:
    """Return all keys of a client, oldest first; ``NOT_FOUND`` if there is no such client."""
    return (await _existing_client(connection, queries, client_id)).keys


async def add_partner(connection: Connection, queries: Queries, partner: Partner, now: Millis) -> None:
    """Bring a partner on; ``CONFLICT`` (``client_taken``) if the client identifier is in use, in whatever state."""
    added = await connection.fetchval(
        queries["add_partner"],
        partner.partner_id,
        partner.client_id,
        partner.name,
        partner.sector,
        sorted(partner.scopes),
        sorted(partner.purposes),
        partner.state.value,
        now,
    )
    if added is None:
        raise GatewayError(ErrorKind.CONFLICT, reason="client_taken")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAddition:
    """A key that an operator adds to a client. ``not_before_ms`` in the past means now."""

    client_id: str
    submitted: SubmittedKey
    not_before_ms: Millis
    now: Millis


async def judge_key(connection: Connection, queries: Queries, addition: KeyAddition) -> tuple[Client, RegisteredKey]:
    """Return whose a key would be and how it would be registered, changing nothing; raises like ``add_key``.

    Under the lock of ``add_key`` it comes out the same, or is refused: so the leaf can be made before.
    """
    client = await _existing_client(connection, queries, addition.client_id)
    if client.partner.state is PartnerState.CLOSED:
        raise GatewayError(ErrorKind.CONFLICT, reason="partner_closed")
    known = await connection.fetchval(queries["thumbprint_known"], addition.submitted.key.thumbprint)
    key = register_key(
        addition.submitted,
        client_keys=client.keys,
        thumbprint_known=known,
        not_before_ms=addition.not_before_ms,
        now=addition.now,
    )
    return client, key


async def add_key(connection: Connection, queries: Queries, addition: KeyAddition) -> RegisteredKey:
    """Register a key under ``gateway.identity.key_policy`` and return it; else ``NOT_FOUND`` or ``CONFLICT``."""
    await connection.fetchrow(queries["lock_partner"], addition.client_id)
    client, key = await judge_key(connection, queries, addition)
    added = await connection.fetchval(
        queries["add_key"],
        key.thumbprint,
        client.partner.partner_id,
        key.kid,
        key.key.alg.value,
        canonical_json(key.key.jwk).decode("ascii"),
        key.purpose.value,
        key.state.value,
        key.not_before_ms,
        key.retire_at_ms,
        key.created_ms,
    )
    if added is None:  # another partner registered the same key since it was looked up
        raise GatewayError(ErrorKind.CONFLICT, reason="key_known")
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRevocation:
    """A key to be taken out of use for good.

    ``key`` is its thumbprint, or the partner's name for it together with ``client_id``; the thumbprint of a key means that
    key and no other, whatever another one is called. ``compromised`` is the state no key comes back from; without it the
    key is retired, which is refused for the last live key of a client.
    """

    client_id: str | None
    key: str
    compromised: bool
    now: Millis


async def judge_revocation(
    connection: Connection, queries: Queries, revocation: KeyRevocation
) -> tuple[Client, RegisteredKey]:
    """Return whose a key is and what it would be after a revocation, changing nothing; raises like ``end_key``.

    Under the lock of ``end_key`` it comes out the same, or is refused: so the leaf can be made before.
    """
    owner = None
    if THUMBPRINT.fullmatch(revocation.key):
        owner = await connection.fetchval(queries["owner_of_key"], revocation.key)
    client_id = revocation.client_id or owner
    if client_id is None or owner not in {None, client_id}:
        raise GatewayError(ErrorKind.NOT_FOUND, reason="key_unknown")
    client = await _existing_client(connection, queries, client_id)
    meant = _the_one_meant(client.keys, revocation.key)
    others = [key for key in client.keys if key.state in LIVE_STATES and key is not meant]
    if not others and not revocation.compromised:
        raise GatewayError(ErrorKind.CONFLICT, reason="last_key")
    return client, revoke_key(meant, now=revocation.now, compromised=revocation.compromised)


async def end_key(connection: Connection, queries: Queries, revocation: KeyRevocation) -> tuple[Client, RegisteredKey]:
    """Retire or revoke a key; return whose it was and what it is now.

    ``NOT_FOUND``, or ``CONFLICT`` (``last_key``, ``key_ambiguous``).
    """
    client, _ = await judge_revocation(connection, queries, revocation)
    await connection.fetchrow(queries["lock_partner"], client.partner.client_id)
    client, ended = await judge_revocation(connection, queries, revocation)
    await connection.execute(queries["end_key"], ended.thumbprint, ended.state.value, revocation.now)
    return client, ended


def _the_one_meant(keys: Sequence[RegisteredKey], name: str) -> RegisteredKey:
    """Return the key with that thumbprint, else the one of that name: the store keeps names apart, and is not believed."""
    found = [key for key in keys if key.thumbprint == name] or [key for key in keys if key.kid == name]
    if not found:
        raise GatewayError(ErrorKind.NOT_FOUND, reason="key_unknown")
    if len(found) > 1:
        raise GatewayError(ErrorKind.CONFLICT, reason="key_ambiguous")
    return found[0]


async def _existing_client(connection: Connection, queries: Queries, client_id: str) -> Client:
    rows = await connection.fetch(queries["find_client"], client_id)
    if not rows:
        raise GatewayError(ErrorKind.NOT_FOUND, reason="client_unknown")
    return _client(rows)


def _client(rows: Sequence[Row]) -> Client:
    keys = tuple(_key(row) for row in rows if row["thumbprint"] is not None)
    return Client(partner=_partner(rows[0]), keys=keys)


def _partner(row: Row) -> Partner:
    return Partner(
        partner_id=row["partner_id"],
        client_id=row["client_id"],
        name=row["name"],
        sector=row["sector"],
        scopes=frozenset(row["scopes"]),
        purposes=frozenset(row["purposes"]),
        state=PartnerState(row["state"]),
    )


def _key(row: Row) -> RegisteredKey:
    return _stored_key(row).read()


def _stored_key(row: Row) -> StoredKey:
    return StoredKey(
        kid=row["kid"],
        alg=Algorithm(row["alg"]),
        jwk=row["jwk"],
        purpose=KeyPurpose(row["key_purpose"]),
        state=KeyState(row["key_state"]),
        not_before_ms=row["not_before_ms"],
        created_ms=row["key_created_ms"],
        retire_at_ms=row["retire_at_ms"],
        revoked_ms=row["revoked_ms"],
    )
