"""Lints files of migrations: what squawk finds, in our places and by our rules.

A file that PostgreSQL accepts is never refused because squawk's parser is behind: a
statement that it cannot read is left out and told as a gap, and the others are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from dbmigrate.api.lint import (
    FINDINGS_LIMIT,
    LintFinding,
    LintGap,
    LintLevel,
    LintReport,
)
from dbmigrate.api.report.plan import Direction
from dbmigrate.lint.policy import Policy
from dbmigrate.lint.rules import SYNTAX_ERROR
from dbmigrate.lint.squawk import Answer, Squawk
from dbmigrate.lint.text import Given, Lines, give, statement_at, without
from dbmigrate.migrations.directives import TransactionMode, read_directives
from dbmigrate.migrations.files import SourceFile
from dbmigrate.migrations.statements import Statement, StatementKind, excerpt, kind_of, split

FILE_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of a file that is looked at, the data in it included."""
TEXT_LIMIT: Final = 1_000_000
"""Characters that squawk is given of one file; it takes about twenty times that in memory."""
_BATCH_BYTES: Final = FILE_LIMIT
"""Of the files that are held in memory at a time."""
_BATCH_FILES: Final = 500
_ROUNDS: Final = 20
"""How many unreadable statements of a file are found one by one, before all are left out."""
_TEXT: Final = 1000
"""Characters of a message or an advice that are kept."""

_HAS_DATA = re.compile(r"\bcopy\b", re.IGNORECASE)
_MAY_LEAVE_TRANSACTION = re.compile(
    r"\b(?:concurrently|vacuum|database|tablespace|system|subscription|discard|cluster|reindex"
    r"|repack)\b",
    re.IGNORECASE,
)


@dataclass
class _Script:
    """A file while it is looked at."""

    file: SourceFile
    found: list[LintFinding] = field(default_factory=list)
    gaps: list[LintGap] = field(default_factory=list)

    @cached_property
    def sql(self) -> str:
        return self.file.sql

    @cached_property
    def lines(self) -> Lines:
        return Lines(self.sql)

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        return tuple(split(self.sql, self.shown))

    @cached_property
    def given(self) -> Given:
        return give(self.sql, self.statements) if _HAS_DATA.search(self.sql) else Given(self.sql)

    @property
    def shown(self) -> str:
        return self.file.path or self.file.file

    @cached_property
    def in_transaction(self) -> bool:
        """Whether it runs as one transaction: its header says it, else its statements.

        Raises:
            SourceError: the header is not valid.
        """
        mode = read_directives(self.sql, self.shown).transaction
        if mode is not None:
            return mode is TransactionMode.FILE
        if _MAY_LEAVE_TRANSACTION.search(self.given.text) is None:
            return True
        outside = StatementKind.OUTSIDE_TRANSACTION
        return all(kind_of(each) is not outside for each in self.statements)

    def forget(self) -> None:
        """Give the memory of the text back; what was found stays."""
        for name in ("sql", "lines", "statements", "given"):
            vars(self).pop(name, None)

    def gap(self, reason: str, statement: Statement | None = None) -> None:
        line, column = (statement.line, statement.column) if statement else (0, 0)
        version = self.file.version_text
        self.gaps.append(LintGap(self.shown, reason, line, column, version))


def lint_files(
    files: Sequence[SourceFile],
    policy: Policy,
    squawk: Squawk,
    server_version: int | None = None,
    limit: int = FINDINGS_LIMIT,
) -> LintReport:
    """What the linter finds in these files.

    Args:
        files: migrations and rollbacks; the findings come in their order.
        policy: what a finding is worth.
        squawk: the program.
        server_version: as `Squawk.look` takes it.
        limit: findings and gaps that the report carries; it counts them all.

    Raises:
        LinterFailedError: squawk does not work.
        SourceError: a file is not UTF-8, its header is not valid, or it cannot be split into
            statements.
    """
    linter = squawk.version()
    scripts = [_Script(file) for file in files]
    for batch in _batches(scripts):
        _Look(policy, squawk, server_version, batch[0].in_transaction, limit).at(batch)
        for script in batch:
            script.forget()
    found = [each for script in scripts for each in script.found]
    gaps = [each for script in scripts for each in script.gaps]
    refusing = sum(each.level is LintLevel.REFUSE for each in found)
    return LintReport(
        linter=linter,
        level=policy.level,
        files=len(files),
        refusing=refusing,
        reported=len(found) - refusing,
        findings=tuple(found[index] for index in _heaviest(found, limit)),
        gaps=tuple(gaps[:limit]),
        gaps_total=len(gaps),
    )


def _is_small(script: _Script) -> bool:
    """Whether it is looked at; one that is not has its gap."""
    size = script.file.content.size
    if size > FILE_LIMIT:
        script.gap(f"the file has {size} bytes; up to {FILE_LIMIT} are linted")
        return False
    length = len(script.given.text)
    if length > TEXT_LIMIT:
        script.gap(
            f"the file has {length} characters without the data of COPY; "
            f"up to {TEXT_LIMIT} are linted"
        )
    return length <= TEXT_LIMIT


def _batches(scripts: Sequence[_Script]) -> Iterator[list[_Script]]:
    """What is given to squawk at a time; all of one batch run in a transaction, or none."""
    waiting: dict[bool, list[_Script]] = {True: [], False: []}
    sizes = {True: 0, False: 0}
    for script in scripts:
        if not _is_small(script):
            script.forget()
            continue
        kind = script.in_transaction
        batch, size = waiting[kind], script.file.content.size
        if batch and (len(batch) == _BATCH_FILES or sizes[kind] + size > _BATCH_BYTES):
            yield batch
            batch = waiting[kind] = []
            sizes[kind] = 0
        batch.append(script)
        sizes[kind] += size
    yield from filter(None, waiting.values())


def _heaviest(found: Sequence[LintFinding], limit: int) -> list[int]:
    """Which findings are kept where there are too many, in order: those that refuse first."""
    by_weight = sorted(range(len(found)), key=lambda i: found[i].level is not LintLevel.REFUSE)
    return sorted(by_weight[:limit])


@dataclass(frozen=True)
class _Look:
    """Runs of squawk with the same options."""

    policy: Policy
    squawk: Squawk
    server_version: int | None
    in_transaction: bool
    limit: int

    def at(self, scripts: Sequence[_Script]) -> None:
        """Look at the scripts; what is found is put down there."""
        answers = self._ask([script.given.text for script in scripts])
        for script, answer in zip(scripts, answers, strict=True):
            self._settle(script, script.given, answer)

    def _ask(self, texts: Sequence[str]) -> list[list[Answer] | str]:
        return self.squawk.look(
            texts,
            in_transaction=self.in_transaction,
            server_version=self.server_version,
            excluded=self.policy.excluded,
            included=self.policy.included,
        )

    def _settle(self, script: _Script, given: Given, answer: list[Answer] | str) -> None:
        """Leave out one unreadable statement after another, until the rest can be read."""
        left_out: set[int] = set()
        while not isinstance(answer, str):
            errors = [each for each in answer if each.rule == SYNTAX_ERROR]
            if not errors:
                script.found = list(self._findings(script, given, answer))
                for index in _heaviest(script.found, self.limit):
                    each = script.found[index]
                    line = excerpt(script.sql, each.line, each.column)
                    script.found[index] = replace(each, excerpt=line)
                return
            bad = self._unreadable(script, given, errors, left_out)
            if not bad:
                answer = errors[0].message
                break
            for statement, why in bad:
                left_out.add(statement.number)
                script.gap(f"the linter cannot read the statement: {why}", statement)
            given = without(given, [statement for statement, _ in bad])
            (answer,) = self._ask([given.text])
        script.gap(f"the linter cannot read the file: {answer[:_TEXT]}")

    @staticmethod
    def _unreadable(
        script: _Script, given: Given, errors: Sequence[Answer], left_out: set[int]
    ) -> list[tuple[Statement, str]]:
        """The statements to leave out next: the first with an error, which may cause the others."""
        found: dict[int, tuple[Statement, str]] = {}
        for error in errors:
            offset = given.offset(error.line, error.column)
            statement = statement_at(script.statements, offset)
            if statement is not None and statement.number not in left_out:
                found.setdefault(statement.number, (statement, error.message[:_TEXT]))
        numbers = sorted(found)
        return [found[each] for each in (numbers[:1] if len(left_out) < _ROUNDS else numbers)]

    def _findings(
        self, script: _Script, given: Given, answers: Sequence[Answer]
    ) -> Iterator[LintFinding]:
        file = script.file
        for each in sorted(answers, key=lambda a: (a.line, a.column, a.rule)):
            level = self.policy.level_of(
                each.rule, is_rollback=file.direction is Direction.ROLLBACK
            )
            if level is LintLevel.OFF:
                continue
            line, column = script.lines.place(given.offset(each.line, each.column))
            end_line, end_column = script.lines.place(given.offset(each.end_line, each.end_column))
            yield LintFinding(
                rule=each.rule,
                level=level,
                file=script.shown,
                line=line,
                column=column,
                end_line=end_line,
                end_column=end_column,
                message=each.message[:_TEXT],
                help=each.help[:_TEXT],
                version=file.version_text,
            )
