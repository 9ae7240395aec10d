"""until when each rate limit is spoken for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        'pace',
        sa.Column('name', sa.String(), nullable=False),
        sa.Column('free_at', sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint('name'),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table('pace')
