"""Run by alembic for every command; the open connection comes from cpo_adapter/storage/migrate.py."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=None,
    version_table=context.config.attributes["schema_table"],
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
