"""Alembic's environment: revisions are plain SQL files, rendered as one script and run by ``gateway.postgres.migrate``.

Only the offline mode exists: what runs is exactly the text that ``credit-gateway migrate --plan`` prints for review, in
one transaction on an asyncpg connection. No second driver and no connection of Alembic's own.
"""

from __future__ import annotations

from alembic import context

if not context.is_offline_mode():
    msg = "use: credit-gateway migrate"
    raise RuntimeError(msg)

# The transaction is opened and committed by the caller, together with its advisory lock and the checksums.
context.configure(dialect_name="postgresql", version_table_schema="migration", transactional_ddl=False)
with context.begin_transaction():
    context.run_migrations()
