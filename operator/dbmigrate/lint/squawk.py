"""Runs squawk, and believes its answer only when it proves that it looked.

squawk ends with 1 for findings and for most of its own faults, and a program of that name
that prints ``[]`` would call everything clean. So each run has one more file whose answer
is known beforehand, the canary: without exactly that answer nothing counts.

Only texts go in and only places come out: no file of the source is read here, none of the
process's variables reaches the program, no ``.squawk.toml`` is looked for.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dbmigrate.errors import LinterFailedError

TIMEOUT: Final = 30.0
"""Seconds for one run; squawk reads several megabytes a second."""

# A parser's own error depends on no rule; its place proves how lines and columns are counted.
_CANARY: Final = b"select 1;\r\n/* \xc3\xa9 */ dbmigrate;\n"
_CANARY_FILE: Final = "canary.sql"
_CANARY_ANSWER: Final = ("syntax-error", 1, 9)
_CONFIGURATION: Final = "squawk.toml"
_FINISHED: Final = frozenset({0, 1})
_ENVIRONMENT: Final = {"RAYON_NUM_THREADS": "2", "RUST_BACKTRACE": "0"}
"""Two files at a time: a syntax tree takes about twenty times the size of its text."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One finding, in squawk's own places: lines from 0, columns from 0 in bytes of UTF-8."""

    rule: str
    message: str
    help: str
    line: int
    column: int
    end_line: int
    end_column: int


class _Broken(Exception):  # noqa: N818 -- it never leaves this module
    """A run that gave no answer that counts."""


@dataclass(frozen=True, slots=True)
class Squawk:
    """The program.

    Args:
        program: where it is; see `find`.
        timeout: seconds for one run.
    """

    program: Path
    timeout: float = TIMEOUT

    def version(self) -> str:
        """``squawk 2.70.0``, as it says itself.

        Raises:
            LinterFailedError: it cannot be run.
        """
        try:
            ended = self._start(["--version"], folder=None)
        except _Broken as error:
            raise self._failed(str(error)) from None
        text = ended.stdout.decode(errors="replace").strip()
        if ended.returncode != 0 or not text.startswith("squawk "):
            raise self._failed(f"it does not say which version it is: {_told(ended)}")
        return text.splitlines()[0][:100]

    def look(
        self,
        texts: Sequence[str],
        *,
        in_transaction: bool,
        server_version: int | None = None,
        excluded: Sequence[str] = (),
        included: Sequence[str] = (),
    ) -> list[list[Answer] | str]:
        """What it finds in each text; a text for why it could not read one.

        Args:
            texts: the scripts.
            in_transaction: each runs as one transaction.
            server_version: the server's, as a number: 160002 for 16.2. None when not known.
            excluded: rules to leave out.
            included: rules to look at that squawk itself leaves out.

        Raises:
            LinterFailedError: it does not work at all, whatever the text.
        """
        options = ["--reporter", "json", "--config", _CONFIGURATION]
        options.append(
            "--assume-in-transaction" if in_transaction else "--no-assume-in-transaction"
        )
        if server_version is not None:
            options += ["--pg-version", f"{server_version // 10000}.{server_version % 10000}"]
        if excluded:
            options += ["--exclude", ",".join(excluded)]
        if included:
            options += ["--include", ",".join(included)]
        return self._divide(texts, options)

    def _divide(self, texts: Sequence[str], options: list[str]) -> list[list[Answer] | str]:
        """All at once; if that breaks, by halves, so that one bad text costs only itself."""
        try:
            return list(self._run(texts, options))
        except _Broken as error:
            if len(texts) == 1:
                self._require_canary(options)
                return [str(error)]
        half = len(texts) // 2
        return self._divide(texts[:half], options) + self._divide(texts[half:], options)

    def _require_canary(self, options: list[str]) -> None:
        """Tell a program that does not work from a text that it cannot bear."""
        try:
            self._run([], options)
        except _Broken as error:
            raise self._failed(str(error)) from None

    def _run(self, texts: Sequence[str], options: list[str]) -> list[list[Answer]]:
        names = [f"{number}.sql" for number in range(len(texts))]
        try:
            with tempfile.TemporaryDirectory(prefix="dbmigrate-lint-") as folder:
                for name, text in zip(names, texts, strict=True):
                    Path(folder, name).write_bytes(text.encode())
                Path(folder, _CANARY_FILE).write_bytes(_CANARY)
                Path(folder, _CONFIGURATION).write_bytes(b"")
                ended = self._start([*options, "--", _CANARY_FILE, *names], folder)
        except OSError as error:
            raise _Broken(f"there is no room for its files: {error}") from None
        if ended.returncode not in _FINISHED:
            raise _Broken(_told(ended))
        try:
            found = [_answer(each) for each in json.loads(ended.stdout)]
        except (ValueError, TypeError, KeyError):
            raise _Broken(f"its answer is not understood: {_told(ended)}") from None
        answers: dict[str, list[Answer]] = {name: [] for name in (*names, _CANARY_FILE)}
        for name, answer in found:
            if name not in answers:
                raise _Broken(f"it tells of a file that it was not given: {name!r}")
            answers[name].append(answer)
        canary = [(each.rule, each.line, each.column) for each in answers[_CANARY_FILE]]
        if canary[:1] != [_CANARY_ANSWER]:
            raise _Broken("it does not find the error that was put there to be found")
        return [answers[name] for name in names]

    def _start(
        self, arguments: list[str], folder: str | None
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # noqa: S603 -- our own arguments, no shell
                [self.program, *arguments],
                cwd=folder,
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _Broken(f"it took longer than {self.timeout:g} s") from None
        except OSError as error:
            raise _Broken(error.strerror or str(error)) from None

    def _failed(self, why: str) -> LinterFailedError:
        return LinterFailedError(
            f"the linter does not work: {self.program}: {why}",
            hint="install dbmigrate again with its dependencies, or name a squawk that works "
            "by --squawk FILE",
        )


def find(program: Path | None) -> Squawk:
    """The program that was named; else the one installed with us; else one on PATH.

    Raises:
        LinterFailedError: there is none.
    """
    # Absolute: it is started in a folder of its own.
    path = program.absolute() if program is not None else _installed() or _on_path()
    if path is None:
        raise LinterFailedError(
            "there is no linter: squawk is neither installed with dbmigrate nor on PATH",
            code="LinterMissing",
            hint="pip install squawk-cli, or name it by --squawk FILE",
        )
    return Squawk(path)


def _installed() -> Path | None:
    """Where squawk-cli's wheel puts it: beside this Python, as our own commands."""
    path = Path(sys.executable).parent / "squawk"
    return path if path.is_file() else None


def _on_path() -> Path | None:
    found = shutil.which("squawk")
    return Path(found).absolute() if found else None


def _answer(data: dict[str, Any]) -> tuple[str, Answer]:
    answer = Answer(
        rule=_text(data["rule_name"]),
        message=_text(data["message"]),
        help=_text(data["help"] or ""),
        line=_number(data["line"]),
        column=_number(data["column"]),
        end_line=_number(data["line_end"]),
        end_column=_number(data["column_end"]),
    )
    return _text(data["file"]), answer


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(type(value).__name__)
    return value


def _told(ended: subprocess.CompletedProcess[bytes]) -> str:
    """How it ended, and the first thing that it said."""
    code = ended.returncode
    how = f"it was ended by signal {-code}" if code < 0 else f"it ended with {code}"
    said = (ended.stderr.strip() or ended.stdout.strip()).decode(errors="replace")
    first = next((line.strip() for line in said.splitlines() if line.strip()), "")
    return f"{how}: {first[:300]}" if first else how
