"""Alembic's entry: runs the migrations on the connection it is given (filing/database.py)."""

from __future__ import annotations

from typing import Literal

from alembic import context

from mailbot.filing.schema import UtcDateTime, metadata


def _render(kind: str, item: object, _: object) -> str | Literal[False]:
    """Migrations stand by themselves: they name the database's type, not ours."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    render_as_batch=True,
    render_item=_render,
)
with context.begin_transaction():
    context.run_migrations()
