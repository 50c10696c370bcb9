"""What Alembic runs to migrate: in the transaction that the caller opened, or all is undone."""

from alembic import context

from workbench.store._migrate import VERSION_TABLE
from workbench.store._tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
