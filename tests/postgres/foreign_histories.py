"""Databases that another tool has migrated, with our files for them; see foreign/README.md."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("foreign")
NAMES = ("create_author", "create_book", "add_year")
UP_MARKS = ("-- migrate:up\n", "-- +goose Up\n")
DOWN_MARKS = ("\n-- migrate:down\n", "\n-- +goose Down\n")


@dataclass(frozen=True)
class Left:
    """What a tool left: its folder, its migrations' files, and the versions of our files."""

    tool: str
    files: tuple[str, ...]
    versions: tuple[str, ...]
    tables: tuple[str, ...]
    proof: str
    schema: str = "public"
    """Where our history must go."""

    def text(self, number: int) -> bytes:
        """The SQL of one migration, without the tool's own marks."""
        data = (FOLDER / self.files[number]).read_bytes()
        for mark in UP_MARKS:
            data = data.removeprefix(mark.encode())
        for mark in DOWN_MARKS:
            data = data.partition(mark.encode())[0]
        return data

    def put(self, database, history="history.sql"):
        """Put the tool's tables and our files into a test's database and source."""
        sql = (FOLDER / self.tool / history).read_text(encoding="utf-8")
        database.connection.execute(sql.encode())
        if self.schema != "public":
            database.connection.execute(f"create schema {self.schema}")
        for number, version in enumerate(self.versions):
            database.write(f"v{version}_{NAMES[number]}.sql", self.text(number))
            database.write(f"rollbacks/v{version}_rollback.sql", f"select 'undo {version}';")


def _numbered(pattern, *numbers):
    return tuple(
        pattern.format(number=number, name=name)
        for number, name in zip(numbers, NAMES, strict=True)
    )


FLYWAY = Left(
    "flyway",
    _numbered("flyway/sql/V{number}__{name}.sql", "1", "1_1", "2"),
    ("1.0.0", "1.1.0", "2.0.0"),
    ("flyway_schema_history",),
    "checksum",
)
LIQUIBASE = Left(
    "liquibase",
    _numbered("liquibase/changelog/{number}_{name}.sql", "001", "002", "003"),
    ("1.0.0", "2.0.0", "3.0.0"),
    ("databasechangelog", "databasechangeloglock"),
    "checksum",
)
GOLANG_MIGRATE = Left(
    "golang-migrate",
    _numbered("golang-migrate/migrations/{number}_{name}.up.sql", "000001", "000002", "000003"),
    ("1.0.0", "2.0.0", "3.0.0"),
    ("schema_migrations",),
    "version",
    "dbmigrate",
)
DBMATE = Left(
    "dbmate",
    _numbered(
        "dbmate/migrations/{number}_{name}.sql",
        "20250110093000", "20250211120000", "20250301000500",
    ),
    ("20250110.93000.0", "20250211.120000.0", "20250301.500.0"),
    ("schema_migrations",),
    "version",
    "dbmigrate",
)  # fmt: skip
GOOSE = Left(
    "goose",
    _numbered("goose/migrations/{number}_{name}.sql", "00001", "00002", "00003"),
    ("1.0.0", "2.0.0", "3.0.0"),
    ("goose_db_version",),
    "version",
)
ALEMBIC = Left(
    "alembic",
    GOLANG_MIGRATE.files,
    ("1.0.0", "2.0.0", "3.0.0"),
    ("alembic_version",),
    "map",
)
SQITCH = Left(
    "sqitch",
    _numbered("sqitch/deploy/{name}.sql", "", "", ""),
    ("1.0.0", "1.1.0", "2.0.0"),
    ("sqitch.changes", "sqitch.events"),
    "checksum",
)
ALL = (FLYWAY, LIQUIBASE, GOLANG_MIGRATE, DBMATE, GOOSE, ALEMBIC, SQITCH)
