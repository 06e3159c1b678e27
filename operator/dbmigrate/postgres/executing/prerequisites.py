"""What must hold of every file before the first one runs.

Its statements go with how it runs, the server knows the settings that it asks for, and the
server's grammar accepts each statement. Nothing is executed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from dbmigrate.errors import DbmigrateError, Location, SourceError
from dbmigrate.migrations.directives import (
    Directives,
    TransactionMode,
    read_directives,
    require_no_more,
)
from dbmigrate.migrations.files import MigrationFile, RepeatableFile, SourceFile
from dbmigrate.migrations.statements import Statement, Statements, decode
from dbmigrate.postgres.executing.clearing import settings_of
from dbmigrate.postgres.executing.grammar import syntax_errors
from dbmigrate.postgres.executing.modes import ModeFinder
from dbmigrate.postgres.server.session import SYNC, Request, ServerError, Session

if TYPE_CHECKING:
    from dbmigrate.migrations.plan import Plan

_SHOWN: Final = 20
_UNKNOWN_PARAMETER: Final = "42704"


@dataclass(frozen=True)
class Script:
    """A file with its statements."""

    file: SourceFile
    verifies: tuple[Script, ...] = ()
    """What is asked when it has run."""

    @cached_property
    def statements(self) -> Statements | tuple[Statement, ...]:
        """As psql would split it: those of a small file are kept, else each pass reads it again.

        Raises:
            SourceError: it cannot be split; for a large file, only when they are iterated.
        """
        statements = Statements(self.file.content, self.file.shown)
        return tuple(statements) if self.file.content.is_held else statements

    @cached_property
    def directives(self) -> Directives:
        """What its header asks for.

        Raises:
            SourceError: the header is not valid.
        """
        return read_directives(self.file.head, self.file.shown)

    @cached_property
    def modes(self) -> ModeFinder:
        """How it can run: known when it was read."""
        deque(self.read(), maxlen=0)
        return self.modes

    def read(self) -> Iterator[Statement]:
        """Its statements, looked at for `modes` on the way; raises what these do."""
        modes = ModeFinder(self.file, self.directives)
        for statement in self.statements:
            modes.see(statement)
            yield statement
        vars(self)["modes"] = modes  # as a cached property keeps its value

    @property
    def mode(self) -> TransactionMode:
        """How it runs."""
        return self.modes.mode


def check_scripts(session: Session, scripts: Sequence[Script], *, together: bool = False) -> None:
    """Refuse what cannot run; each file is read once for it. Nothing is executed.

    Args:
        session: outside of a transaction.
        scripts: the files.
        together: they are to be one transaction.

    Raises:
        SourceError: a file cannot be split into statements, its header is not valid
            (InvalidDirective), a statement does not go with how its file runs (see
            `ModeFinder.problems`), or the server's grammar does not accept it (SyntaxError).
        RefusedError: a file was changed meanwhile (SourceChanged).
    """
    _check_headers(session, scripts)
    every = list(_with_verifies(scripts))
    for script in every:
        _require_header(script)
    wrong = syntax_errors(
        session, ((script.file, each) for script in every for each in script.read())
    )
    within = "--transaction all makes all files one transaction" if together else ""
    problems = [problem for script in scripts for problem in script.modes.problems(within)]
    within = "a verification is part of its migration's transaction"
    for script in scripts:
        for each in script.verifies:
            problems += each.modes.problems(within)
    if problems or wrong:
        raise _all_of(problems or wrong)


def scripts_of(plan: Plan) -> list[Script]:
    """What a plan runs, with what is asked behind it."""
    return [Script(step, tuple(map(Script, _asked(plan, step)))) for step in plan.files]


def _asked(plan: Plan, step: SourceFile) -> Sequence[SourceFile]:
    if isinstance(step, MigrationFile) and not step.is_rollback:
        return plan.verifies.get(step.version, ())
    return ()


def _with_verifies(scripts: Sequence[Script]) -> Iterator[Script]:
    for script in scripts:
        yield script
        yield from script.verifies


def _check_headers(session: Session, scripts: Sequence[Script]) -> None:
    """Let the server judge the parameters that files set for themselves."""
    for script in _with_verifies(scripts):
        if script.directives.after and not isinstance(script.file, RepeatableFile):
            where = Location(script.file.shown, script.directives.line)
            raise SourceError(
                f"{where}: after= in the header of a file that is not repeatable",
                code="InvalidDirective",
                hint="leave it out: migrations run in the order of their versions",
                location=where,
            )
        for name, value in script.directives.settings.items():
            requests = [Request("begin"), *settings_of({name: value}, is_local=True)]
            replies = list(session.run((*requests, Request("rollback"), SYNC)))
            session.query("rollback")
            error = next((reply.error for reply in replies if reply.error), None)
            if error is not None:
                shown = script.file.path or script.file.file
                where = Location(shown, script.directives.line)
                raise SourceError(
                    f"{where}: {name}={value} in the file's header: {error.message}",
                    code="InvalidDirective",
                    hint=error.hint or _hint_of(error),
                    location=where,
                )


def _require_header(script: Script) -> None:
    """A directive below the first statement; a file that is not held is not looked at."""
    content = script.file.content
    if not content.is_held:
        return
    data = b"".join(content.read_from(0))
    if b"dbmigrate:" in data.lower():
        text = decode(data, script.file.shown)
        require_no_more(text, tuple(script.statements), script.file.shown)


def _hint_of(error: ServerError) -> str:
    if error.sqlstate == _UNKNOWN_PARAMETER:
        return "known are transaction, after, and the server's parameters"
    return "correct the value; nothing was run"


def _all_of(problems: Sequence[DbmigrateError]) -> DbmigrateError:
    first = problems[0]
    if len(problems) == 1:
        return first
    lines = [f"- {each.message}" for each in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"- and {len(problems) - _SHOWN} more")
    return type(first)(
        f"{len(problems)} statements cannot run:\n" + "\n".join(lines),
        code=first.error_code,
        hint=first.hint,
        location=first.location,
    )
