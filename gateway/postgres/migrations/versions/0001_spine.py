"""The spine: partners and their keys, the audit log, the replica of the municipal platform."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Render the file as it is: Alembic's ``op.execute`` would read colons in SQL as parameters."""
    sql = Path(__file__).parents[1] / "sql" / "0001_spine.sql"
    op.get_context().impl.static_output(sql.read_text(encoding="utf-8"))
