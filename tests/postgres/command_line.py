"""The runner as a user starts it: a process of its own, with an environment of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dbmigrate.api.report.lines import parse_result
from dbmigrate.api.report.result import RunResult

_MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "COVERAGE_PROCESS_START")


@dataclass(frozen=True)
class Ended:
    """How a process ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict]:
        """The JSON lines; every line must be one."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def result(self) -> RunResult:
        """The last line."""
        result = parse_result(self.out.splitlines()[-1])
        assert result is not None, self.out
        return result


class CommandLine:
    """Starts `dbmigrate` for one test's database."""

    def __init__(self, database, cwd: Path) -> None:
        self.database = database
        self.cwd = cwd
        self.uri = database.server.uri(database.name)
        self.env = {name: os.environ[name] for name in KEPT if name in os.environ}
        self.env["DATABASE_URL"] = self.uri

    def arguments(self, *arguments: object) -> list[str]:
        """The whole command."""
        return [sys.executable, "-m", "dbmigrate", *map(str, arguments)]

    def start(self, *arguments: object, **options) -> subprocess.Popen:
        """Start it and leave it running."""
        environment = {**self.env, **options.pop("env", {})}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(
            self.arguments(*arguments), env=environment, cwd=self.cwd, **(pipes | options)
        )

    def peak(self, *arguments: object) -> int:
        """Run it, which must succeed; the bytes that it had resident at most.

        A process inherits the peak of the one that it was forked from: a small one stands
        between.
        """
        ended = subprocess.run(
            [sys.executable, "-I", "-c", _MEASURE, *self.arguments(*arguments)],
            env=self.env, cwd=self.cwd, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return int(ended.stdout.splitlines()[-1]) * 1024

    def __call__(self, *arguments: object, **options) -> Ended:
        """Run it to its end."""
        return self.end(self.start(*arguments, **options))

    @staticmethod
    def end(process: subprocess.Popen, timeout: float = 60) -> Ended:
        """Wait for it."""
        out, err = process.communicate(timeout=timeout)
        ended = Ended(process.returncode, (out or b"").decode(), (err or b"").decode())
        assert "Traceback" not in ended.out + ended.err
        return ended
