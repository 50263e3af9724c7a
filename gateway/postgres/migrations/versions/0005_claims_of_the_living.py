"""One-time ids are claimed for live credentials only."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Render the file as it is: Alembic's ``op.execute`` would read colons in SQL as parameters."""
    sql = Path(__file__).parents[1] / "sql" / "0005_claims_of_the_living.sql"
    op.get_context().impl.static_output(sql.read_text(encoding="utf-8"))
