"""what leads to people: by their address among all batches, and to those whom nothing reached."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa
from alembic import op

from domain.finding import buckets

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None

RETURNED = sa.text("delivery IN ('bounced', 'undelivered', 'dropped', 'failed', 'opted_out')")


def upgrade() -> None:
    """Apply."""
    op.create_table('address_rows',
    sa.Column('batch_id', sa.Integer(), nullable=False),
    sa.Column('bucket', sa.Integer(), nullable=False),
    sa.Column('rows', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['batch_id'], ['batch.id'], ),
    sa.PrimaryKeyConstraint('batch_id', 'bucket'),
    sqlite_with_rowid=False
    )
    op.create_index('ix_message_returned', 'message', ['batch_id', 'row'], unique=False, sqlite_where=RETURNED, postgresql_where=RETURNED)
    _find_those_who_are_there()


def _find_those_who_are_there() -> None:
    connection = op.get_bind()
    schema = {'row': pl.UInt32, 'email': pl.String, 'phone': pl.String}
    for (batch_id,) in connection.execute(sa.text('SELECT id FROM batch ORDER BY id')).all():
        people = connection.execute(
            sa.text('SELECT row, email, phone FROM recipient WHERE batch_id = :batch_id'), {'batch_id': batch_id}
        ).all()
        found = buckets(pl.DataFrame([tuple(one) for one in people], schema=schema, orient='row'))
        if found.height:
            connection.execute(
                sa.text('INSERT INTO address_rows (batch_id, bucket, rows) VALUES (:batch_id, :bucket, :rows)'),
                [{'batch_id': batch_id, **line} for line in found.iter_rows(named=True)],
            )


def downgrade() -> None:
    """Undo."""
    op.drop_index('ix_message_returned', table_name='message', sqlite_where=RETURNED, postgresql_where=RETURNED)
    op.drop_table('address_rows')
