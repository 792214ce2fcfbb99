"""Alembic's entry: `club migrate` hands it an open connection; nothing runs offline."""

import sqlalchemy as sa
from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=context.config.attributes.get("metadata", sa.MetaData()),
    include_name=lambda name, kind, _parents: kind != "schema" or name is None,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
