"""what came back: when, and how a bounce finds it"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("outgoing", schema=None) as batch_op:
        batch_op.add_column(sa.Column("bounced_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(batch_op.f("ix_outgoing_envelope_from"), ["envelope_from"], unique=False)
        batch_op.create_index(batch_op.f("ix_outgoing_message_id"), ["message_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("outgoing", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_outgoing_message_id"))
        batch_op.drop_index(batch_op.f("ix_outgoing_envelope_from"))
        batch_op.drop_column("bounced_at")
