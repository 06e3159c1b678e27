"""A plain pg_dump, data included, applies as a migration, and nothing is lost on the way."""

import subprocess
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[2] / "migrations"
EVERYTHING = Path(__file__).with_name("schema_of_everything.sql")
HISTORY = "bookkeeping"
CONCURRENTLY = "create index concurrently i on t (a);"


@pytest.fixture
def original(database):
    """A database with the sample project and one of each kind of object, data included."""
    for path in sorted(SAMPLE.glob("v*.sql")):
        with database.connection.transaction():
            database.connection.execute(path.read_bytes())
    database.connection.execute(EVERYTHING.read_bytes())
    return database


@pytest.fixture
def restored(original):
    """An empty database on the same server."""
    name = f"{original.name}_restored"
    with original.server.connect("postgres") as admin:
        admin.execute(f"create database {name} template template0")
    with original.server.connect(name) as connection:
        connection.execute(f"create schema {HISTORY}")
    yield name
    with original.server.connect("postgres") as admin:
        admin.execute(f"drop database {name} with (force)")


def dump(server, name: str, *options: str) -> str:
    """What pg_dump writes of a database, the bookkeeping left out."""
    where = ["-h", server.folder, "-p", str(server.port), "-U", "postgres", "-d", name]
    command = [server.programs / "pg_dump", *where, f"--exclude-schema={HISTORY}", *options]
    return subprocess.run(command, check=True, capture_output=True).stdout.decode()


def told(text: str) -> str:
    """A dump without what differs from one to the next: the key of its restrict lines."""
    return "\n".join(
        line for line in text.split("\n") if not line.startswith(("\\restrict", "\\unrestrict"))
    )


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--inserts",),
        ("--column-inserts", "--rows-per-insert=3", "--quote-all-identifiers"),
        ("--clean", "--if-exists", "--disable-triggers"),
        ("--load-via-partition-root", "--use-set-session-authorization"),
    ],
    ids=" ".join,
)
def test_a_dump_is_a_migration(original, restored, options):
    """The restored database is the original, to the letter of pg_dump."""
    server, before = original.server, dump(original.server, original.name)
    original.write("v1.0.0_dump.sql", dump(server, original.name, *options))
    original.name = restored
    result = original.run("up", history_schema=HISTORY)
    assert result.failure is None
    assert told(dump(server, restored)) == told(before)


@pytest.mark.one_version
@pytest.mark.parametrize(
    "more", ["create table other ();", "create index concurrently i on t (a);"]
)
def test_no_other_transaction_is_taken_for_a_dumps(database, more):
    """Within the one around large objects, or where a file runs by statement, it is refused."""
    opened = "SELECT pg_catalog.lo_open('16400', 131072);\nSELECT pg_catalog.lo_close(0);\n"
    database.connection.execute("create table t (a int)")
    database.write("v1.0.0_a.sql", f"BEGIN;\n\n{opened}{more}\nCOMMIT;\n")
    assert database.run("up").failure.code == "TransactionControl"
    database.write(
        "v1.0.0_a.sql", f"BEGIN;\n\n{opened}COMMIT;\ncreate index concurrently i on t (a);"
    )
    assert database.run("up").failure.code == "TransactionControl"
