"""files that were uploaded and are no batch yet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        'upload',
        sa.Column('uid', sa.String(), nullable=False),
        sa.Column('owner', sa.String(), nullable=False),
        sa.Column('process_key', sa.String(), nullable=False),
        sa.Column('file_name', sa.String(), nullable=False),
        sa.Column('file_sha256', sa.String(), nullable=False),
        sa.Column('file_bytes', sa.BigInteger(), nullable=False),
        sa.Column('upload_key', sa.String(), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('checked_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('name', sa.String(), nullable=True),
        sa.Column('refusal', sa.Text(), nullable=True),
        sa.Column('held_by', sa.String(), nullable=True),
        sa.Column('held_until', sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint('uid'),
        sqlite_with_rowid=False,
    )
    op.create_index('ix_upload_owner', 'upload', ['owner', 'file_sha256'])
    op.create_index('ix_upload_created_at', 'upload', ['created_at'])


def downgrade() -> None:
    """Undo."""
    op.drop_index('ix_upload_created_at', table_name='upload')
    op.drop_index('ix_upload_owner', table_name='upload')
    op.drop_table('upload')
