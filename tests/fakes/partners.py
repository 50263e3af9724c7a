"""Rows of partners and keys, for tests that are not about them."""

from __future__ import annotations

from typing import Any

PARTNER_ID = "prt_01HZZZZZZZZZZZZZZZZZZZZZZZ"


async def insert_live_key(connection: Any, thumbprint: str, partner_id: str = PARTNER_ID) -> None:
    """Insert an active partner (if it is not there) and an active key of it."""
    await connection.execute(
        """INSERT INTO identity.partner (partner_id, client_id, name, sector, scopes, purposes, state, created_ms)
           VALUES ($1, $2, '测试平台', 'network_freight', '{verifications}', '{onboarding}', 'active', 0)
           ON CONFLICT DO NOTHING""",
        partner_id,
        f"client-{partner_id[-6:].lower()}",
    )
    await connection.execute(
        """INSERT INTO identity.partner_key
               (thumbprint, partner_id, kid, alg, jwk, purpose, state, not_before_ms, created_ms)
           VALUES ($1, $2, $1, 'ES256', '{}', 'client-auth', 'active', 0, 0)""",
        thumbprint,
        partner_id,
    )
