"""`make bench-traffic`: what the application feels while a table is altered behind a long reader.

pgbench sends reads and writes of one table at a steady rate, whatever the answers: a
transaction's latency counts from when it was due, so that a stall is felt by all that were
due in it. Meanwhile one session has read the table and stays in its transaction, and the
table gets a column: by psql, as it comes, and by dbmigrate. Figures go to docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dbmigrate.postgres.executing.retrying import LOCK_TIMEOUT
from tests.postgres.servers import Server, binaries

if TYPE_CHECKING:
    import psycopg

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- traffic: begin -->", "<!-- traffic: end -->"
MAJOR = 15
"""pgbench comes with Debian's."""
DISK = Path("/var/tmp")
CLIENTS = 8
RATE = 200
"""Transactions a second: a tenth of what the machine could do."""
ROWS = 20_000
SETTLE = 3.0
"""Seconds of traffic before something is measured, and after the reader has gone."""
TRANSACTION = f"""
\\set id random(1, {ROWS})
begin;
select score from attempts where id = :id;
update attempts set score = score + 1 where id = :id;
end;
"""
ALTER = "alter table attempts add column note text;"


@dataclass(frozen=True)
class Felt:
    """What the clients felt of one way. Times are seconds."""

    name: str
    took: float
    """From the migration's start to its end."""
    latencies: Sequence[float]
    lock_timeout: float | None = None
    tries: int = 1

    def percentile(self, share: float) -> float:
        """The latency that this share of the transactions kept below."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def slower_than(self, seconds: float) -> float:
        """Which part of the transactions took longer."""
        return sum(each > seconds for each in self.latencies) / len(self.latencies)


class Bench:
    """The server and its traffic."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        (folder / "transaction.sql").write_text(TRANSACTION, encoding="ascii")

    def prepare(self) -> None:
        """A new database with a table for the traffic."""
        with self.server.connect("postgres") as admin:
            admin.execute("drop database if exists app with (force)")
            admin.execute("create database app")
        with self.server.connect("app") as connection:
            connection.execute(
                "create table attempts as select id, 0 as score, repeat('x', 80) as answer "
                f"from generate_series(1, {ROWS}) as id"
            )
            connection.execute("alter table attempts add primary key (id)")
            connection.execute("vacuum analyze attempts")
            connection.execute("checkpoint")

    @contextmanager
    def traffic(self) -> Iterator[Path]:
        """Clients, until the end of the block; their logs are in the folder that it gives."""
        logs = Path(tempfile.mkdtemp(dir=self.folder))
        command = [
            self.server.programs / "pgbench", "-h", self.server.folder, "-p", str(self.server.port),
            "-U", "postgres", "-n", "-c", str(CLIENTS), "-j", "1", "-R", str(RATE), "-T", "600",
            "-l", "--log-prefix", logs / "log", "-f", self.folder / "transaction.sql", "app",
        ]  # fmt: skip
        process = subprocess.Popen(
            [str(each) for each in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            yield logs
            if process.poll() is not None:
                assert process.stderr is not None
                raise RuntimeError(f"the traffic ended: {process.stderr.read().decode()}")
        finally:
            process.terminate()
            process.wait(10)

    def measure(
        self, name: str, migrate: Callable[[], int], reader: float, lock_timeout: float | None
    ) -> Felt:
        """Alter the table amid the traffic, behind a reader that stays for so many seconds."""
        self.prepare()
        with self.traffic() as logs:
            time.sleep(SETTLE)
            with self._reader(reader):
                began = time.time()
                tries = migrate()
                ended = time.time()
            time.sleep(SETTLE)
        with self.server.connect("app") as connection:
            connection.execute("select note from attempts limit 1")  # it is there
        # What was due before the end and answered a little later belongs to it.
        return Felt(name, ended - began, _latencies(logs, began, ended), lock_timeout, tries)

    def quiet(self, seconds: float) -> Felt:
        """The traffic alone."""
        self.prepare()
        with self.traffic() as logs:
            time.sleep(SETTLE)
            began = time.time()
            time.sleep(seconds)
            ended = time.time()
            time.sleep(SETTLE / 3)
        return Felt("traffic alone", ended - began, _latencies(logs, began, ended))

    @contextmanager
    def _reader(self, seconds: float) -> Iterator[None]:
        """A session that has read the table, and commits after so many seconds."""
        connection = self.server.connect("app")
        connection.execute("begin")
        connection.execute("select count(*) from attempts")
        timer = threading.Timer(seconds, _leave, [connection])
        timer.start()
        try:
            yield
        finally:
            timer.join()

    def by_psql(self) -> int:
        """The table altered as it comes."""
        command = [
            self.server.programs / "psql", "-X", "-q", "-h", self.server.folder,
            "-p", str(self.server.port), "-U", "postgres", "-d", "app", "-c", ALTER,
        ]  # fmt: skip
        subprocess.run([str(each) for each in command], check=True)
        return 1

    def by_dbmigrate(self, lock_timeout: float) -> int:
        """The table altered by the runner; how often it tried."""
        source = self.folder / "migrations"
        source.mkdir(exist_ok=True)
        (source / "v1.0.0_note.sql").write_text(ALTER + "\n", encoding="ascii")
        done = subprocess.run(
            [sys.executable, "-m", "dbmigrate", "up", "--source", str(source),
             "--lock-timeout", f"{lock_timeout}s"],
            env={"DATABASE_URL": self.server.uri("app"), "PATH": os.environ["PATH"]},
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return 1 + done.stderr.count("tried again in")


def _leave(connection: psycopg.Connection) -> None:
    connection.execute("commit")
    connection.close()


def _latencies(logs: Path, began: float, ended: float) -> list[float]:
    """Of the transactions that were due between the two times (pgbench's manual, ``--log``)."""
    found = []
    for log in logs.iterdir():
        # Where pgbench was ended its last line may be cut.
        for line in log.read_text(encoding="ascii").splitlines()[:-1]:
            # client, number, latency in microseconds, script, end: seconds, microseconds, lag
            _, _, latency, _, seconds, micros, _ = line.split()
            took = int(latency) / 1e6
            due = int(seconds) + int(micros) / 1e6 - took
            if began <= due <= ended:
                found.append(took)
    return found


def page(felt: Sequence[Felt], reader: float) -> str:
    """The section's text."""
    quiet = felt[0]
    when = datetime.now(UTC).date().isoformat()
    setting = f"{CLIENTS} clients, {RATE} transactions a second"
    lines = [
        f"Measured on {when}, PostgreSQL {MAJOR}: {setting}, a reader of {reader:g} s.",
        "",
        "| | migration took | tries | p50 | p99 | worst | slower than 0.1 s |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in felt:
        took = "" if each is quiet else f"{each.took:.1f} s"
        tries = "" if each is quiet else str(each.tries)
        lines.append(
            f"| {each.name} | {took} | {tries} | {_ms(statistics.median(each.latencies))} "
            f"| {_ms(each.percentile(0.99))} | {_ms(max(each.latencies))} "
            f"| {100 * each.slower_than(0.1):.1f} % |"
        )
    lines.append("")
    lines += [_verdict(each, quiet) for each in felt if each.lock_timeout is not None]
    return "\n".join(lines)


def _verdict(each: Felt, quiet: Felt) -> str:
    assert each.lock_timeout is not None
    bound = 2 * quiet.percentile(0.99) + each.lock_timeout
    is_kept = each.percentile(0.99) < bound
    return (
        f"- {each.name}: the aim, a p99 under twice the quiet one plus the lock timeout "
        f"({_ms(bound)}), is {'met' if is_kept else '**missed**'}: {_ms(each.percentile(0.99))}."
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def write(text: str) -> None:
    """Put the section into the page."""
    content = PAGE.read_text(encoding="utf-8")
    head, begin, rest = content.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE}: {BEGIN} … {END} is missing")
    PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--reader", type=float, default=30.0, help="seconds")
    parser.add_argument(
        "--quiet", type=float, default=12.0, help="seconds of traffic alone, before and after"
    )
    parser.add_argument(
        "--lock-timeout", type=float, action="append", help="seconds; may be given several times"
    )
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks.md alone")
    arguments = parser.parse_args()
    programs = binaries(MAJOR)
    if programs is None:
        sys.exit(f"PostgreSQL {MAJOR} is not installed: run .ci/setup postgres")
    server = Server(
        MAJOR, programs, DISK, fsync="on", synchronous_commit="on", full_page_writes="on",
        shared_buffers="256MB", max_wal_size="8GB", checkpoint_timeout="1h",
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="dbmigrate-bench-", dir=DISK) as folder:
        try:
            server.create()
            server.start()
            bench = Bench(server, Path(folder))
            before = bench.quiet(arguments.quiet)
            felt = [bench.measure("psql, as it comes", bench.by_psql, arguments.reader, None)]
            felt += [
                bench.measure(
                    f"dbmigrate, lock timeout {timeout:g} s",
                    partial(bench.by_dbmigrate, timeout),
                    arguments.reader,
                    timeout,
                )
                for timeout in arguments.lock_timeout or [LOCK_TIMEOUT]
            ]
            after = bench.quiet(arguments.quiet)
        finally:
            server.destroy()
    # The calmer of the two: what else the machine does must not widen what is allowed.
    quiet = min(before, after, key=lambda each: each.percentile(0.99))
    text = page([quiet, *felt], arguments.reader)
    print(text)
    if not arguments.no_write:
        write(text)


if __name__ == "__main__":
    main()
