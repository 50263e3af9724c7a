"""A log that its hosts guard: each batch carries a MAC."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Render the file as it is: Alembic's ``op.execute`` would read colons in SQL as parameters."""
    sql = Path(__file__).parents[1] / "sql" / "0002_guarded_log.sql"
    op.get_context().impl.static_output(sql.read_text(encoding="utf-8"))
