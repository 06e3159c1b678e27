"""Databases on real PostgreSQL servers: 15, 16 and 18.

Each test process starts a server of each version when it first needs one. `database` is a
new empty database. A test runs on each version, unless it is marked ``one_version``.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.result import RunResult
from dbmigrate.migrations.folder import read_source
from dbmigrate.migrations.version import Version
from dbmigrate.postgres.options import RunOptions
from dbmigrate.postgres.run import run
from dbmigrate.postgres.server.interruption import Interruption
from dbmigrate.postgres.server.settings import ConnectionSettings

sys.path.insert(0, str(Path(__file__).parent))
from command_line import CommandLine
from servers import Server, binaries

VERSIONS = (15, 16, 18)
NEWEST = VERSIONS[-1]

_running: dict[int, Server] = {}


def pytest_configure(config):
    """Make the marker known."""
    config.addinivalue_line("markers", "one_version: run on the newest PostgreSQL alone")


def pytest_generate_tests(metafunc):
    """Spread the tests over the versions."""
    if "server" in metafunc.fixturenames:
        is_one = metafunc.definition.get_closest_marker("one_version") is not None
        versions = (NEWEST,) if is_one else VERSIONS
        metafunc.parametrize("server", versions, indirect=True, ids=lambda major: f"pg{major}")


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[int, Server]]:
    """The servers of this process, ended after its last test."""
    yield _running
    for server in _running.values():
        server.destroy()
    _running.clear()


@pytest.fixture
def server(request, servers) -> Server:
    """A running server that other tests use too."""
    major = request.param
    if major not in servers:
        servers[major] = start_server(major)
    return servers[major]


def start_server(major: int, **settings: str) -> Server:
    """A new server; the test is skipped where there is no such version."""
    programs = binaries(major)
    if programs is None:
        pytest.skip(f"no PostgreSQL {major} on this machine")
    server = Server(major, programs, **settings)
    try:
        server.create()
        server.start()
    except BaseException:
        server.destroy()
        raise
    return server


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server for a test that stops or breaks it."""
    server = start_server(NEWEST)
    yield server
    server.destroy()


class Recorder:
    """A reporter that keeps what it is told, and calls whoever waits for an event."""

    def __init__(self) -> None:
        self.events: list[tuple[EventName, dict]] = []
        self.listeners: list[Callable[[EventName, dict], None]] = []

    def emit(self, event: EventName, **data: object) -> None:
        """Keep it."""
        self.events.append((event, data))
        for listener in self.listeners:
            listener(event, data)

    def of(self, event: EventName) -> list[dict]:
        """What was told under one name."""
        return [data for name, data in self.events if name is event]


@dataclass
class Database:
    """A database of its own for one test, and a folder of migrations to run there."""

    server: Server
    name: str
    folder: Path
    connection: psycopg.Connection
    reporter: Recorder = field(default_factory=Recorder)

    @property
    def settings(self) -> ConnectionSettings:
        """Where it is, for the engine."""
        return ConnectionSettings(self.server.params(self.name), "the test")

    def through(self, port: int) -> dict[str, str]:
        """How it is reached by a port of this machine that leads to its server."""
        return {**self.server.params(self.name), "host": "127.0.0.1", "port": str(port)}

    def write(self, file: str, sql: str | bytes) -> Path:
        """Put a file into the source."""
        path = self.folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(sql if isinstance(sql, bytes) else sql.encode())
        return path

    def run(
        self,
        command: str = "up",
        target: str | None = None,
        *,
        interruption: Interruption | None = None,
        settings: dict[str, str] | None = None,
        **options,
    ) -> RunResult:
        """Run a command in this process; see `reporter` for what it told."""
        self.reporter = Recorder() if not self.reporter.listeners else self.reporter
        version = None
        if target is not None:
            version = Version(0, 0, 0) if target == "0" else Version.parse(target)
        options.setdefault("applied_by", "tester")
        chosen = RunOptions(command, target=version, **options)
        interruption = interruption or Interruption()
        where = ConnectionSettings(settings, "the test") if settings else self.settings
        try:
            return run(where, read_source([self.folder]), chosen, self.reporter, interruption)
        finally:
            interruption.close()

    def is_begun(self) -> str | None:
        """A reason to stop: a file has begun, and is the last one of its run."""
        return "begun" if self.reporter.of(EventName.MIGRATION_STARTED) else None

    def rows(self, query: str, *params: object) -> list[tuple]:
        """A query's rows."""
        return self.connection.execute(query, params or None).fetchall()

    def value(self, query: str, *params: object) -> object:
        """A query's one value."""
        (row,) = self.rows(query, *params)
        return row[0]

    def history(self) -> list[tuple]:
        """Version, type and status of each row, in order."""
        return self.rows(
            "select version, migration_type, status from public.schema_migrations order by id"
        )

    def has(self, table: str) -> bool:
        """Whether there is such a table."""
        return self.value("select to_regclass(%s) is not null", table)

    def wait_until(self, query: str, *params: object, timeout: float = 15) -> None:
        """Wait until a query's one value is true."""
        until(lambda: self.value(query, *params), timeout)

    def another(self) -> psycopg.Connection:
        """One more connection; the caller closes it."""
        return self.server.connect(self.name)


def until(condition: Callable[[], object], timeout: float = 15) -> None:
    """Wait until it is true, and fail when it does not become so."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


@pytest.fixture
def database(server, tmp_path) -> Iterator[Database]:
    """A new empty database on a server that is shared."""
    yield from _database(server, tmp_path)


@pytest.fixture
def dbmigrate(database, tmp_path) -> CommandLine:
    """The command line, in the folder that holds `migrations`."""
    return CommandLine(database, tmp_path)


@pytest.fixture
def own_database(own_server, tmp_path) -> Iterator[Database]:
    """A new empty database on a server of its own."""
    yield from _database(own_server, tmp_path)


def _database(server: Server, folder: Path) -> Iterator[Database]:
    name = f"test_{os.getpid()}_{time.monotonic_ns()}"
    with server.connect("postgres") as admin:
        admin.execute(f"create database {name} template template0 strategy file_copy")
    source = folder / "migrations"
    source.mkdir()
    connection = server.connect(name)
    try:
        yield Database(server, name, source, connection)
    finally:
        connection.close()
        try:
            with server.connect("postgres") as admin:
                admin.execute(f"drop database {name} with (force)")
        except psycopg.OperationalError:
            pass  # the test stopped the server


@pytest.fixture
def connect(database) -> Callable[[], psycopg.Connection]:
    """Makes connections to the test's database; the test closes them."""
    return database.another


@pytest.fixture
def connection(database) -> psycopg.Connection:
    """A connection to the test's database, in autocommit."""
    return database.connection
