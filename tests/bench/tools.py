"""Each tool as its manual says to use it: its form of files, its command, its history.

All get the same SQL. `Tool.lay_out` writes the files once; `command` applies what is
pending, in one transaction a file (`Mode.FILE`) or in one for all (`Mode.ALL`).
"""

from __future__ import annotations

import enum
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tests.bench.measure import Command

if TYPE_CHECKING:
    from tests.bench.peers import Programs
    from tests.postgres.servers import Server


class Mode(enum.Enum):
    """How much is one transaction."""

    FILE = enum.auto()
    ALL = enum.auto()


class Tool(ABC):
    """A tool, and how it is driven."""

    name: ClassVar[str]
    modes: ClassVar[frozenset[Mode]] = frozenset({Mode.FILE})
    has_history: ClassVar[bool] = True
    takes_copy: ClassVar[bool] = False
    """Whether a file may hold ``COPY … FROM stdin`` with its data."""
    most: ClassVar[int] = 1_000_000
    """Files beyond which it would take too long to be measured along."""
    most_rows: ClassVar[int] = 1_000_000
    """Rows of history beyond which making them would."""

    def __init__(self, program: Path) -> None:
        self.program = program

    @abstractmethod
    def lay_out(self, folder: Path, scripts: Sequence[str]) -> None:
        """Write the files in the tool's own form."""

    @abstractmethod
    def command(self, folder: Path, server: Server, database: str, mode: Mode) -> Command:
        """Apply all that is pending."""

    def mark(self, folder: Path, server: Server, database: str) -> Command:
        """Bring the history to where all files count as applied (they do nothing anyway)."""
        return self.command(folder, server, database, Mode.FILE)

    def _made(self, folder: Path, server: Server, database: str, *arguments: str) -> Command:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "DATABASE_URL": server.uri(database),
        }
        return Command([str(self.program), *arguments], folder, environment)


class Psql(Tool):
    """The floor: one session that sends each file in a transaction, and keeps no history."""

    name = "psql"
    modes = frozenset(Mode)
    has_history = False
    takes_copy = True

    def lay_out(self, folder: Path, scripts: Sequence[str]) -> None:
        """One file for each, and one that includes them all."""
        names = _write(folder, scripts, "{:05}.sql", "{}")
        each = "".join(f"begin;\n\\i {name}\ncommit;\n" for name in names)
        (folder / "each.psql").write_text(each, encoding="utf-8")
        (folder / "all.psql").write_text(
            "begin;\n" + "".join(f"\\i {name}\n" for name in names) + "commit;\n", encoding="utf-8"
        )

    def command(self, folder: Path, server: Server, database: str, mode: Mode) -> Command:
        """Run the file that includes them."""
        script = "each.psql" if mode is Mode.FILE else "all.psql"
        return self._made(
            folder, server, database,
            "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", server.uri(database), "-f", script,
        )  # fmt: skip


class Dbmigrate(Tool):
    """Ours, in JSON lines, syntax check and history included, without the linter."""

    name = "dbmigrate"
    modes = frozenset(Mode)
    takes_copy = True
    options: ClassVar[tuple[str, ...]] = ("--lint-level", "off")

    def lay_out(self, folder: Path, scripts: Sequence[str]) -> None:
        """``v1.N.0_bench.sql``."""
        _write(folder, scripts, "v1.{}.0_bench.sql", "{}")

    def command(self, folder: Path, server: Server, database: str, mode: Mode) -> Command:
        """``dbmigrate up``."""
        more = () if mode is Mode.FILE else ("--transaction", "all")
        return self._made(
            folder, server, database,
            "up", "--source", str(folder), "--output", "json", *self.options, *more,
        )  # fmt: skip


class Linted(Dbmigrate):
    """Ours as it is by default: every file is linted too."""

    name = "dbmigrate+lint"
    options = ()


class Dbmate(Tool):
    """dbmate (Go): a transaction a file; no checksums, no lock."""

    name = "dbmate"

    def lay_out(self, folder: Path, scripts: Sequence[str]) -> None:
        """With its comment before the SQL."""
        _write(folder, scripts, "{:05}_bench.sql", "-- migrate:up\n{}\n-- migrate:down\n")

    def command(self, folder: Path, server: Server, database: str, mode: Mode) -> Command:
        """``dbmate migrate``."""
        del mode
        url = f"{server.uri(database)}?sslmode=disable"
        return self._made(
            folder, server, database,
            "--url", url, "--migrations-dir", str(folder), "--no-dump-schema", "migrate",
        )  # fmt: skip


class NodePgMigrate(Tool):
    """node-pg-migrate (Node): one transaction for all by default."""

    name = "node-pg-migrate"
    modes = frozenset(Mode)

    def lay_out(self, folder: Path, scripts: Sequence[str]) -> None:
        """In a folder of their own, since it takes everything that it finds."""
        content = "-- Up Migration\n{}\n-- Down Migration\n"
        _write(folder / "migrations", scripts, "{:05}_bench.sql", content)

    def command(self, folder: Path, server: Server, database: str, mode: Mode) -> Command:
        """``node-pg-migrate up``."""
        more = ("--no-single-transaction",) if mode is Mode.FILE else ()
        return self._made(folder, server, database, "up", "--no-verbose", *more)

    def mark(self, folder: Path, server: Server, database: str) -> Command:
        """By its own option."""
        return self._made(folder, server, database, "up", "--no-verbose", "--fake")


_ALEMBIC_ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, pool
url = os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:")
with create_engine(url, poolclass=pool.NullPool).connect() as connection:
    context.configure(
        connection=connection, transaction_per_migration=os.environ["BENCH_MODE"] == "FILE"
    )
    with context.begin_transaction():
        context.run_migrations()
"""
_ALEMBIC_FILE = """
from pathlib import Path
from alembic import op
revision = "{number:05}"
down_revision = {down}
def upgrade():
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text())
"""


class Alembic(Tool):
    """Alembic (Python): one transaction for all by default."""

    name = "Alembic"
    modes = frozenset(Mode)

    def lay_out(self, folder: Path, scripts: Sequence[str]) -> None:
        """A chain of revisions, each of which executes its SQL."""
        (folder / "alembic.ini").write_text(
            f"[alembic]\nscript_location = {folder}\n", encoding="utf-8"
        )
        (folder / "env.py").write_text(_ALEMBIC_ENV, encoding="utf-8")
        versions = folder / "versions"
        _write(versions, scripts, "{:05}_bench.sql", "{}")
        for number in range(1, len(scripts) + 1):
            down = f'"{number - 1:05}"' if number > 1 else None
            (versions / f"{number:05}_bench.py").write_text(
                _ALEMBIC_FILE.format(number=number, down=down), encoding="utf-8"
            )

    def command(self, folder: Path, server: Server, database: str, mode: Mode) -> Command:
        """``alembic upgrade head``."""
        command = self._made(folder, server, database, "upgrade", "head")
        return Command(command.argv, folder, {**command.env, "BENCH_MODE": mode.name})

    def mark(self, folder: Path, server: Server, database: str) -> Command:
        """By its own command."""
        command = self._made(folder, server, database, "stamp", "head")
        return Command(command.argv, folder, {**command.env, "BENCH_MODE": "FILE"})


class Sqitch(Tool):
    """sqitch (Perl): a psql of its own for each file."""

    name = "sqitch"
    most = 500
    most_rows = 1000

    def lay_out(self, folder: Path, scripts: Sequence[str]) -> None:
        """A plan, and its scripts with the transaction that its template has."""
        _write(folder / "deploy", scripts, "c{:05}.sql", "BEGIN;\n{}\nCOMMIT;\n")
        (folder / "sqitch.conf").write_text("[core]\n\tengine = pg\n", encoding="utf-8")
        who = "2026-01-01T00:00:00Z Bench <bench@example.org> # bench"
        lines = [f"c{number:05} {who}" for number in range(1, len(scripts) + 1)]
        head = "%syntax-version=1.0.0\n%project=bench\n\n"
        (folder / "sqitch.plan").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")

    def command(self, folder: Path, server: Server, database: str, mode: Mode) -> Command:
        """``sqitch deploy``."""
        del mode
        return self._deploy(folder, server, database)

    def mark(self, folder: Path, server: Server, database: str) -> Command:
        """By its own option."""
        return self._deploy(folder, server, database, "--log-only")

    def _deploy(self, folder: Path, server: Server, database: str, *more: str) -> Command:
        url = f"db:pg://postgres@127.0.0.1:{server.port}/{database}"
        command = self._made(folder, server, database, "deploy", "--target", url, *more)
        identity = {"SQITCH_FULLNAME": "Bench", "SQITCH_EMAIL": "bench@example.org"}
        return Command(command.argv, folder, {**command.env, **identity})


def all_tools(programs: Programs) -> tuple[list[Tool], list[str]]:
    """Those that can be had, and for each other one why it cannot."""
    ours = Path(sys.executable).with_name("dbmigrate")
    candidates: list[tuple[type[Tool], Path | str]] = [
        (Psql, programs.psql),
        (Dbmigrate, ours),
        (Linted, ours),
        (Dbmate, programs.dbmate),
        (NodePgMigrate, programs.node_pg_migrate),
        (Alembic, programs.alembic),
        (Sqitch, programs.sqitch),
    ]
    tools = [kind(program) for kind, program in candidates if isinstance(program, Path)]
    absent = [f"{kind.name}: {why}" for kind, why in candidates if isinstance(why, str)]
    return tools, absent


def _write(folder: Path, scripts: Sequence[str], name: str, content: str) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    names = [name.format(number) for number in range(1, len(scripts) + 1)]
    for file, script in zip(names, scripts, strict=True):
        before, _, after = content.partition("{}")
        (folder / file).write_text(before + script + after, encoding="utf-8")
    return names
