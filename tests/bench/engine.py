"""`make bench`: the runner beside psql and its peers, in one run on one server.

PostgreSQL runs on a disk with fsync on. Within a round the tools take turns in an order
that differs each time, so that what else the machine does hits all alike; a ratio is the
median of the rounds' own ratios. Each run is proved by what the database holds afterwards.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.bench import peers, scripts
from tests.bench.engine_page import section, write
from tests.bench.measure import FailedError, Launcher, Run
from tests.bench.tools import Dbmigrate, Linted, Mode, Psql, Tool, all_tools
from tests.postgres.servers import Server, binaries

DISK = Path("/var/tmp")
"""Unlike /tmp and /dev/shm it is a disk everywhere."""
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
}


@dataclass(frozen=True)
class Scenario:
    """One measurement: what all tools do in the same way."""

    title: str
    files: int
    rounds: int
    script: Callable[[int], str] = scripts.three_statements
    mode: Mode = Mode.FILE
    is_noop: bool = False
    """The files are applied before, and what is measured finds nothing to do."""
    needs_copy: bool = False

    def takes(self, tool: Tool) -> bool:
        """Whether the tool can do it, in a time that leaves the others theirs."""
        return (
            self.mode in tool.modes
            and self.files <= (tool.most_rows if self.is_noop else tool.most)
            and (tool.has_history or not self.is_noop)
            and (tool.takes_copy or not self.needs_copy)
        )


@dataclass
class Measured:
    """A scenario's runs by tool; all lists have one entry a round."""

    scenario: Scenario
    runs: dict[str, list[Run]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def scenarios(*, quick: bool) -> list[Scenario]:
    """All measurements. Small ones are repeated more often: they are the noisy ones."""
    if quick:
        return [
            Scenario("50 files", 50, 3),
            Scenario("300 files", 300, 3),
            Scenario("300 files, one transaction", 300, 3, mode=Mode.ALL),
            Scenario("1,000 rows", 1000, 3, scripts.nothing, is_noop=True),
        ]
    return [
        Scenario("1 file", 1, 9),
        Scenario("50 files", 50, 7),
        Scenario("500 files", 500, 5),
        Scenario("2,000 files", 2000, 3),
        Scenario("500 files, one transaction", 500, 5, mode=Mode.ALL),
        Scenario("2,000 files, one transaction", 2000, 3, mode=Mode.ALL),
        Scenario("10 rows", 10, 7, scripts.nothing, is_noop=True),
        Scenario("1,000 rows", 1000, 7, scripts.nothing, is_noop=True),
        Scenario("10,000 rows", 10000, 5, scripts.nothing, is_noop=True),
        Scenario("50 MB of INSERT", 1, 3, lambda _: scripts.inserts(50 * scripts.MB)),
        Scenario("50 MB of COPY", 1, 3, lambda _: scripts.copy(50 * scripts.MB), needs_copy=True),
    ]


class Bench:
    """The server, the tools and where their files lie."""

    def __init__(self, server: Server, launcher: Launcher, tools: Sequence[Tool]) -> None:
        self.server = server
        self.launcher = launcher
        self.tools = tools
        self.folder = Path(tempfile.mkdtemp(prefix="dbmigrate-bench-", dir=DISK))
        self.random = random.Random(1)

    def close(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def measure(self, scenario: Scenario) -> Measured:
        """All rounds of a scenario."""
        measured = Measured(scenario)
        content = [scenario.script(number) for number in range(1, scenario.files + 1)]
        ready: dict[str, Path] = {}
        for tool in filter(scenario.takes, self.tools):
            ready[tool.name] = self.folder / tool.name
            ready[tool.name].mkdir()
            tool.lay_out(ready[tool.name], content)
            if scenario.is_noop:
                self._try(measured, tool, lambda _, tool: self._fill(tool))
        for _ in range(scenario.rounds):
            turn = [tool for tool in self.tools if tool.name in ready]
            self.random.shuffle(turn)
            for tool in turn:
                if tool.name not in measured.failures:
                    self._try(measured, tool, self._once)
        for tool in self.tools:
            self._drop(_database(tool))
        for folder in ready.values():
            shutil.rmtree(folder)
        return measured

    def _try(self, measured: Measured, tool: Tool, step: Callable[[Measured, Tool], None]) -> None:
        try:
            step(measured, tool)
        except FailedError as error:
            measured.failures[tool.name] = str(error)
            measured.runs.pop(tool.name, None)

    def _fill(self, tool: Tool) -> None:
        self._create(_database(tool))
        command = tool.mark(self.folder / tool.name, self.server, _database(tool))
        self.launcher.run(command, self.folder / "log")

    def _once(self, measured: Measured, tool: Tool) -> None:
        scenario, database = measured.scenario, _database(tool)
        if not scenario.is_noop:
            self._create(database)
        with self.server.connect("postgres") as connection:
            connection.execute("checkpoint")  # none in the midst of what is measured
        command = tool.command(self.folder / tool.name, self.server, database, scenario.mode)
        run = self.launcher.run(command, self.folder / "log")
        self._prove(scenario, database)
        measured.runs.setdefault(tool.name, []).append(run)

    def _prove(self, scenario: Scenario, database: str) -> None:
        """A tool that says it is done has made the tables."""
        expected = 0 if scenario.script is scripts.nothing else scenario.files
        query = r"select count(*) from pg_class where relkind = 'r' and relname ~ '^t\d+$'"
        with self.server.connect(database) as connection:
            row = connection.execute(query).fetchone()
        if row != (expected,):
            raise FailedError(f"{expected} tables were to be made, and there are {row}")

    def _create(self, database: str) -> None:
        self._drop(database)
        with self.server.connect("postgres") as connection:
            connection.execute(f'create database "{database}"')

    def _drop(self, database: str) -> None:
        with self.server.connect("postgres") as connection:
            connection.execute(f'drop database if exists "{database}" with (force)')


def _database(tool: Tool) -> str:
    return f"bench_{tool.name}"


def main() -> int:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute; writes no page")
    parser.add_argument("--only", metavar="TEXT", help="scenarios whose title has this text")
    parser.add_argument("--tools", metavar="NAMES", help="these alone, with commas between")
    parser.add_argument("--rounds", type=int, help="rounds of each, in place of its own number")
    parser.add_argument("--server", type=int, default=18, help="PostgreSQL's major version")
    options = parser.parse_args()
    programs = binaries(options.server)
    if programs is None:
        parser.error(f"there is no PostgreSQL {options.server} here")
    tools, absent = all_tools(peers.find())
    for each in absent:
        print(f"left out: {each}", flush=True)
    if options.tools:
        names = options.tools.split(",")
        tools = [tool for tool in tools if tool.name in names]
    wanted = [each for each in scenarios(quick=options.quick) if (options.only or "") in each.title]
    began = time.monotonic()
    with ExitStack() as stack:
        server = Server(options.server, programs, DISK, **SETTINGS)
        stack.callback(server.destroy)
        server.create()
        server.start()
        launcher = Launcher(server.pid)
        stack.callback(launcher.close)
        bench = Bench(server, launcher, tools)
        stack.callback(bench.close)
        measured = []
        for scenario in wanted:
            rounds = options.rounds or scenario.rounds
            measured.append(bench.measure(replace(scenario, rounds=rounds)))
            print(section(measured[-1:]), flush=True)
    print(f"{time.monotonic() - began:.0f} s")
    if not (options.quick or options.only or options.tools):
        write(measured, server.major, absent)
    failed = {name for each in measured for name in each.failures}
    return 1 if failed & {Psql.name, Dbmigrate.name, Linted.name} else 0


if __name__ == "__main__":
    sys.exit(main())
