"""What a file says of itself: ``-- dbmigrate: name=value …`` lines before its first statement.

A directive is a promise asked for, so nothing is guessed: a name that is not known, a value
that does not fit and the same name twice are errors with their line. Values of run-time
parameters are judged by the server, before anything runs.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn

from dbmigrate.migrations.parameters import ParameterRefusedError, check_parameter
from dbmigrate.migrations.sql.refuse import refuse
from dbmigrate.migrations.sql.split import RESTRICT, Statement
from dbmigrate.migrations.sql.tokens import SPACE, UNTERMINATED, end_of_comment

_LINE: Final = re.compile(r"--[ \t]*dbmigrate:(?P<body>[^\n\r]*)", re.IGNORECASE)
_PAIR: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(?P<value>'[^']*'|[^\s,']+)")
_BETWEEN: Final = re.compile(r"[\s,]*")


class TransactionMode(enum.Enum):
    """How a file's statements and its transactions go together."""

    FILE = "file"
    """The whole file and its history row are one transaction: both or neither."""
    STATEMENT = "statement"
    """Each statement by itself; a ledger says how far the file is."""
    OWN = "own"
    """As STATEMENT, and the file's own BEGIN … COMMIT are obeyed."""


@dataclass(frozen=True, slots=True)
class Directives:
    """What a file's header asks for."""

    transaction: TransactionMode | None = None
    """None: the statements decide."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Run-time parameters for this file alone."""
    after: tuple[str, ...] = ()
    """Repeatable files, by name, that come before this one."""
    line: int = 0
    """Of the first directive, for messages; 0 when there is none."""


NONE: Final = Directives()


def read_directives(head: str, filename: str = "") -> Directives:
    """The directives of a file.

    Args:
        head: the file's text, or a beginning of it that reaches into its first statement.
        filename: for messages.

    Raises:
        SourceError: code InvalidDirective.
    """
    found: dict[str, str] = {}
    first = 0
    for start, body_start, body in _lines(head):
        if not first:
            first = head.count("\n", 0, start) + 1
        at = 0
        for at, name, value in _pairs(head, filename, body_start, body):
            if name in found:
                _refuse(head, filename, at, f"{name} is said twice", "keep one of them")
            found[name] = value
            _require_known(head, filename, at, name, value)
        if not at:
            _refuse(head, filename, start, "the directive is empty", _FORM)
    if not first:
        return NONE
    mode = found.pop("transaction", None)
    after = found.pop("after", "")
    return Directives(
        transaction=TransactionMode(mode) if mode else None,
        settings=found,
        after=tuple(filter(None, re.split(r"[,;]", after))),
        line=first,
    )


def require_no_more(script: str, statements: Sequence[Statement], filename: str = "") -> None:
    """Refuse a directive below the first statement, where nobody would obey it.

    Args:
        script: the whole file.
        statements: its statements. The data of a COPY, and what follows it up to the next
            statement, are not looked at.
        filename: for messages.

    Raises:
        SourceError: code InvalidDirective.
    """
    ends = [each.start for each in statements[1:]] + [len(script)]
    for statement, end in zip(statements, ends, strict=False):
        begin = statement.start + len(statement.text)
        if statement.copy_data is None and "--" in script[begin:end]:
            for at, _, _ in _lines(script[begin:end]):
                _refuse(
                    script, filename, begin + at, "a directive below the first statement",
                    "put it at the beginning of the file: a header holds for all of it",
                )  # fmt: skip


_FORM: Final = "write it as: -- dbmigrate: transaction=statement lock_timeout=2s"


def _lines(head: str) -> Iterator[tuple[int, int, str]]:
    """The directive lines among the comments before the first statement."""
    at = 1 if head.startswith("\ufeff") else 0
    while at < len(head):
        if head[at] in SPACE or head[at] == ";":
            at += 1
            continue
        if restrict := RESTRICT.match(head, at):
            at = restrict.end()
            continue
        if not head.startswith(("--", "/*"), at):
            return
        if match := _LINE.match(head, at):
            yield at, match.start("body"), match["body"]
        end = end_of_comment(head, at)
        if end == UNTERMINATED:
            return
        at = end


def _pairs(head: str, filename: str, start: int, body: str) -> Iterator[tuple[int, str, str]]:
    at = 0
    while True:
        at = match.end() if (match := _BETWEEN.match(body, at)) else at
        if at >= len(body):
            return
        pair = _PAIR.match(body, at)
        if pair is None:
            word = body[at:].split(maxsplit=1)[0]
            _refuse(head, filename, start + at, f"{word!r} is not name=value", _FORM)
        yield start + at, pair["name"].lower(), pair["value"].strip("'")
        at = pair.end()


def _require_known(head: str, filename: str, at: int, name: str, value: str) -> None:
    if name == "transaction":
        modes = [mode.value for mode in TransactionMode]
        if value not in modes:
            hint = f"one of {', '.join(modes)}"
            _refuse(head, filename, at, f"transaction={value} is not known", hint)
    elif name != "after":
        try:
            check_parameter(name, value)
        except ParameterRefusedError as error:
            _refuse(
                head,
                filename,
                at,
                str(error),
                "directives are transaction, after, "
                "and parameters of the server such as lock_timeout",
            )


def _refuse(head: str, filename: str, at: int, message: str, hint: str) -> NoReturn:
    refuse(head, filename, at, message, code="InvalidDirective", hint=hint)
