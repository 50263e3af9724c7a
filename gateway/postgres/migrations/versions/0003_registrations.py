"""Keys and partners come from their leaves: an index to find these by."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Render the file as it is: Alembic's ``op.execute`` would read colons in SQL as parameters."""
    sql = Path(__file__).parents[1] / "sql" / "0003_registrations.sql"
    op.get_context().impl.static_output(sql.read_text(encoding="utf-8"))
