"""The index of exceptional messages says which they are in words that cost SQLite less."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None

INDEX = 'ix_message_exception'
EXPECTED = '1000 100 50 1'
"""As in 0002: what SQLite shall take it for."""


def upgrade() -> None:
    """Apply."""
    _make("(state = 'failed' OR state = 'in_doubt' OR state = 'unresolved')")


def downgrade() -> None:
    """Undo."""
    _make("state IN ('failed', 'in_doubt', 'unresolved')")


def _make(where: str) -> None:
    op.drop_index(INDEX, 'message')
    op.create_index(
        INDEX,
        'message',
        ['batch_id', 'state', 'row'],
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
    if op.get_bind().dialect.name == 'sqlite':
        op.execute(f"DELETE FROM sqlite_stat1 WHERE idx = '{INDEX}'")
        op.execute(f"INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('message', '{INDEX}', '{EXPECTED}')")
        op.execute('ANALYZE sqlite_schema')
