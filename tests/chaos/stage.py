"""One trial's database, source folder and server, and what each fault does to them.

The methods that strike may be called by the relay's thread. Starting a server may not: it ends
with the thread that started it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

import psycopg

from tests.chaos.beside import make_repeatable
from tests.chaos.judging import Snapshot, observe, unfinished
from tests.chaos.sources import PREPARATION, File, Migration, make_migration
from tests.postgres.servers import Server

NAME: Final = "chaos"
"""The application name of the judge's own sessions, which no fault strikes."""
LOCK_KEY: Final = int.from_bytes(b"dbmigrat")
"""Of the advisory lock."""
_THEFTS: Final = 3
_ANSWERS_WITHIN: Final = 30.0
_STOPS_WITHIN: Final = 3.0
_RECOVERS_WITHIN: Final = 1.0
"""Seconds in which the server drops all sessions, unless the killed process was at its end."""

_SESSIONS: Final = f"""
    from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend'
        and application_name <> '{NAME}'
"""


class Stage:
    """Made for one trial; `close` drops the database."""

    def __init__(self, server: Server, folder: Path, name: str, *, keep: bool) -> None:
        self.server = server
        self.name = name
        self.keep = keep
        """Whether rollbacks keep what they lose."""
        self.folder = folder / "migrations"
        for each in ("rollbacks", "repeatable", "verify"):
            (self.folder / each).mkdir(parents=True)
        self.files: dict[str, File] = {}
        """By checksum, all that ever were in the folder."""
        self.current: dict[str, Migration] = {}
        """By version, what is in the folder."""
        self.repeatables: dict[str, File] = {}
        """By path, the repeatable files that are in the folder."""
        self._variants: dict[str, Migration] = {}
        self._observer: psycopg.Connection | None = None
        self._hand = threading.Lock()
        self._restart_at: float | None = None
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._doomed: list[psycopg.Connection] = []
        """Sessions that the server drops when it recovers from a killed process."""
        with self._connect("postgres") as admin:
            admin.execute(f"create database {name} template template0 strategy file_copy")
        with self._connect(name) as connection:
            connection.execute("set synchronous_commit = on")  # not to be lost by a crash
            connection.execute(PREPARATION)

    def close(self) -> None:
        """Drop the database."""
        self.calm()
        if self._observer is not None:
            self._observer.close()
        with self._connect("postgres") as admin:
            admin.execute(f"drop database {self.name} with (force)")

    def _connect(self, database: str) -> psycopg.Connection:
        deadline = time.monotonic() + _ANSWERS_WITHIN
        while True:
            try:
                parameters = self.server.params(database, application_name=NAME)
                return psycopg.connect(**parameters, autocommit=True)
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._restart_at is not None:
                    raise
                time.sleep(0.01)

    # What is in the folder

    def put(self, migration: Migration) -> None:
        """Write a migration into the folder, in place of another of its version."""
        self.current[migration.version] = migration
        for file in (migration.forward, migration.rollback):
            self._variants[file.checksum] = migration
            self._write(file)

    def put_repeatable(self, file: File) -> None:
        """Write a repeatable file, in place of another of its name."""
        self.repeatables[file.version] = file
        self._write(file)

    def put_verification(self, version: str, sql: str) -> None:
        """Write what is asked when that version has run."""
        (self.folder / "verify" / f"v{version}_chaos.sql").write_text(sql)

    def _write(self, file: File) -> None:
        self.files[file.checksum] = file
        path = self.folder / file.path
        new = path.with_suffix(".new")
        new.write_text(file.sql)
        new.replace(path)

    def edit(self, random: Random, count: int) -> None:
        """Change, add and take away some files."""
        for _ in range(count):
            if self.repeatables and random.random() < 0.3:
                path = Path(random.choice(list(self.repeatables)))
                self.put_repeatable(make_repeatable(random, path.stem, f"~{len(self.files)}"))
                continue
            version = random.choice(list(self.current))
            match random.choice(("change", "change", "add", "remove")):
                case "change":
                    variant = f"~{len(self.files)}"
                    self.put(make_migration(random, version, keep=self.keep, variant=variant))
                case "add":
                    newest = f"1.{len(self.current) + 1}.0"
                    self.put(make_migration(random, newest, keep=self.keep))
                case _ if len(self.current) > 1:
                    gone = self.current.pop(version)
                    for file in (gone.forward, gone.rollback):
                        (self.folder / file.path).unlink()
                    verification = self.folder / "verify" / f"v{version}_chaos.sql"
                    verification.unlink(missing_ok=True)
                case _:
                    pass

    def mend(self, snapshot: Snapshot) -> None:
        """Make the folder hold what is applied, as a person does whose edit was refused."""
        begun = unfinished(snapshot, self.files)
        wanted = {**snapshot.live, **({begun.version: begun.checksum} if begun else {})}
        for version, checksum in wanted.items():
            migration = self._variants[checksum]
            if self.current.get(version) != migration:
                self.put(migration)

    # What is seen

    def look(self) -> Snapshot | None:
        """A snapshot; None while the server does not answer."""
        try:
            if self._observer is None or self._observer.closed:
                parameters = self.server.params(self.name, application_name=NAME)
                self._observer = psycopg.connect(**parameters, autocommit=True)
            return observe(self._observer)
        except psycopg.OperationalError:
            if self._observer is not None:
                self._observer.close()
            return None

    def connect(self) -> psycopg.Connection:
        """A session of the judge's."""
        return self._connect(self.name)

    # What goes wrong

    def terminate(self) -> None:
        """End the runners' sessions."""
        self._strike(f"select pg_terminate_backend(pid) {_SESSIONS}")

    def cancel(self) -> None:
        """Cancel their statements."""
        self._strike(f"select pg_cancel_backend(pid) {_SESSIONS}")

    def kill_backends(self) -> None:
        """Kill their server processes: the server drops all sessions and recovers."""
        pids = self._strike(f"select pid {_SESSIONS}")
        if pids:
            with contextlib.suppress(psycopg.OperationalError):
                self._doomed.append(self._connect(self.name))
        for (pid,) in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _strike(self, query: str) -> list[tuple[int]]:
        with self._hand:
            if self._restart_at is not None:
                return []
            try:
                with self._connect(self.name) as connection:
                    return connection.execute(query).fetchall()
            except psycopg.OperationalError:
                return []  # another fault was there first

    def stop_server(self, how: signal.Signals, seconds: float) -> None:
        """Stop the server, to be started again after some time by `tend`."""
        with self._hand:
            if self._restart_at is None:
                self._restart_at = time.monotonic() + seconds
                try:
                    self.server.stop(how, _STOPS_WITHIN)
                except subprocess.TimeoutExpired:
                    # A fast shutdown that comes while PostgreSQL recovers from a killed process
                    # can wait for the checkpointer without end (15 to 18, one time in ten).
                    self.server.stop(signal.SIGQUIT)

    def tend(self) -> None:
        """Start a stopped server when its time has come."""
        with self._hand:
            if self._restart_at is not None and time.monotonic() >= self._restart_at:
                self.server.start()
                self._restart_at = None

    @property
    def is_down(self) -> bool:
        """Whether the server is stopped."""
        return self._restart_at is not None

    def steal_lock(self, seconds: float) -> None:
        """Take the advisory lock whenever it is free, a few times, for so long each."""
        self._start(lambda: self._steal(seconds))

    def _steal(self, seconds: float) -> None:
        with self.connect() as thief:
            for _ in range(_THEFTS):
                while not thief.execute(f"select pg_try_advisory_lock({LOCK_KEY})").fetchone()[0]:
                    if self._over.wait(0.002):
                        return
                self._over.wait(seconds)
                thief.execute(f"select pg_advisory_unlock({LOCK_KEY})")

    def block(self, seconds: float) -> None:
        """Hold a table that all files write to."""
        self._start(lambda: self._block(seconds))

    def _block(self, seconds: float) -> None:
        with self.connect() as blocker, blocker.transaction():
            blocker.execute("lock table chaos.counter in exclusive mode")
            self._over.wait(seconds)

    def read(self, seconds: float) -> None:
        """Hold a snapshot."""
        self._start(lambda: self._read(seconds))

    def _read(self, seconds: float) -> None:
        with self.connect() as reader, reader.transaction():
            reader.execute("set transaction isolation level repeatable read, read only")
            reader.execute("select 1")
            self._over.wait(seconds)

    def _start(self, act) -> None:  # type: ignore[no-untyped-def]
        def run() -> None:
            with contextlib.suppress(psycopg.OperationalError):  # another fault struck it
                act()

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def calm(self) -> None:
        """End all that goes wrong, and wait until the server answers."""
        self._over.set()
        for thread in self._threads:
            thread.join(_ANSWERS_WITHIN)
        self._threads.clear()
        self._over.clear()
        if self.is_down:
            self._restart_at = 0.0
            self.tend()
        while self._doomed:
            _wait_for_end(self._doomed.pop())
        self._connect(self.name).close()

    @contextlib.contextmanager
    def calmed(self) -> Iterator[None]:
        """Ends what goes wrong, however the block ends."""
        try:
            yield
        finally:
            self.calm()


def _wait_for_end(connection: psycopg.Connection) -> None:
    deadline = time.monotonic() + _RECOVERS_WITHIN
    with contextlib.suppress(psycopg.OperationalError), connection:
        while time.monotonic() < deadline:
            connection.execute("select pg_sleep(0.01)")
