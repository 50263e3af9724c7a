"""What is remembered for a time only ends by its own clock: one-time ids by the day, idempotency keys by the row."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Render the file as it is: Alembic's ``op.execute`` would read colons in SQL as parameters."""
    sql = Path(__file__).parents[1] / "sql" / "0004_own_clocks.sql"
    op.get_context().impl.static_output(sql.read_text(encoding="utf-8"))
