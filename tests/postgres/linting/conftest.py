"""The command line, and a database with migrations that the linter finds harmful."""

import pytest
from tests.postgres.linting.findings import HARMFUL


@pytest.fixture
def applied(database, dbmigrate):
    """The database with migrations that are applied, and one would be refused if it were not."""
    database.write("v1.0.0_users.sql", "create table users (id bigint, name text, x text);\n")
    database.write("v1.1.0_drop.sql", "alter table users drop column x;\n")
    assert dbmigrate("up", "--lint-level", "off").code == 0
    return database


@pytest.fixture
def pending(applied):
    """A harmful migration that is not applied, with its rollback."""
    applied.write("v1.2.0_harm.sql", HARMFUL)
    applied.write(
        "rollbacks/v1.2.0_rollback.sql",
        "alter table users add column name text;\ncreate index on users (name);\n",
    )


@pytest.fixture
def environment(tmp_path):
    """Write an environment's file with these lines."""

    def write(*lines, name="production"):
        folder = tmp_path / "config" / "environments"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.env").write_text("".join(f"{line}\n" for line in lines))

    return write
