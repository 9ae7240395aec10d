"""what people do with their links."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table('visit',
    sa.Column('batch_id', sa.Integer(), nullable=False),
    sa.Column('row', sa.Integer(), nullable=False),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('completed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('locked_until', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['batch_id'], ['batch.id'], ),
    sa.PrimaryKeyConstraint('batch_id', 'row'),
    sqlite_with_rowid=False
    )
    op.create_table('submission',
    sa.Column('batch_id', sa.Integer(), nullable=False),
    sa.Column('row', sa.Integer(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('answers', sa.JSON(), nullable=True),
    sa.ForeignKeyConstraint(['batch_id'], ['batch.id'], ),
    sa.PrimaryKeyConstraint('batch_id', 'row'),
    sqlite_with_rowid=False
    )
    op.create_table('spent_code',
    sa.Column('code_sha256', sa.String(), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('code_sha256'),
    sqlite_with_rowid=False
    )
    with op.batch_alter_table('spent_code', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_spent_code_expires_at'), ['expires_at'], unique=False)

    with op.batch_alter_table('batch', schema=None) as batch_op:
        batch_op.add_column(sa.Column('links_expire_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('links_revoked_at', sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table('batch', schema=None) as batch_op:
        batch_op.drop_column('links_revoked_at')
        batch_op.drop_column('links_expire_at')

    with op.batch_alter_table('spent_code', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_spent_code_expires_at'))

    op.drop_table('spent_code')
    op.drop_table('submission')
    op.drop_table('visit')
