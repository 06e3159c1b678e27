"""Linting from the command line: its options, `dbmigrate lint`, and what the engine is handed.

`lint` looks at the pending files where a database is named, since an applied file can be
changed no more; where none is, at all files; or at those that are named.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dbmigrate.api.lint import FINDINGS_LIMIT, LintLevel
from dbmigrate.cli.options.merged import common_of
from dbmigrate.cli.options.parameters import FILE
from dbmigrate.cli.options.sections import option, together
from dbmigrate.errors import UsageError
from dbmigrate.lint.policy import Policy, Wish, parse_level, parse_rules

if TYPE_CHECKING:
    from dbmigrate.api.lint import LintReport
    from dbmigrate.cli.app import App
    from dbmigrate.migrations.files import SourceFile
    from dbmigrate.migrations.source import Source
    from dbmigrate.postgres.linting import Linting


NO_LIMIT = 100_000
"""Findings that `lint` itself tells; elsewhere a result has to stay small."""


class _Level(click.ParamType[LintLevel]):
    name = "level"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> LintLevel:
        del param, ctx
        return parse_level(str(value), "--lint-level")


class _Rules(click.ParamType[dict[str, LintLevel]]):
    name = "rules"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, LintLevel]:
        del param, ctx
        return value if isinstance(value, dict) else parse_rules(str(value), "--lint-rules")


lint_options = together(
    option(
        "--lint-level",
        type=_Level(),
        metavar="off|report|refuse",
        help="Whether the linter's findings are told, or refuse.  [default: the "
        "environment's MIGRATION_LINT, else report; of `lint`: refuse]",
    ),
    option(
        "--lint-rules",
        type=_Rules(),
        metavar="RULE=LEVEL,…",
        help="What single rules are worth, such as renaming-table=report; over the "
        "environment's MIGRATION_LINT_RULES.",
    ),
    option(
        "--squawk",
        type=FILE,
        metavar="FILE",
        help="The linter's program.  [default: the one installed with dbmigrate]",
    ),
)
"""Gives a command the options of linting."""


@dataclass(frozen=True, slots=True)
class LintOptions:
    """What the command line says of linting."""

    wish: Wish
    squawk: Path | None

    @classmethod
    def of(cls, ctx: click.Context) -> LintOptions:
        """What was said to this command."""
        given = ctx.params
        wish = Wish(given.get("lint_level"), given.get("lint_rules") or {})
        return cls(wish, given.get("squawk"))

    def policy(self, environment: Wish, default: LintLevel) -> Policy:
        """The rules of the run: the options', then the environment's, then the default."""
        wish = self.wish.over(environment)
        return Policy(wish.level or default, wish.rules)

    def linting(self, policy: Policy, limit: int = FINDINGS_LIMIT) -> Linting | None:
        """What the engine is handed; None when nothing is to be linted."""
        if policy.level is LintLevel.OFF:
            return None
        from dbmigrate.postgres.linting import Linting  # noqa: PLC0415 -- loads psycopg

        def look(files: Sequence[SourceFile], server_version: int | None) -> LintReport:
            return _look(files, policy, self.squawk, server_version, limit)

        return Linting(policy.level, look)


def _look(
    files: Sequence[SourceFile],
    policy: Policy,
    squawk: Path | None,
    server_version: int | None,
    limit: int,
) -> LintReport:
    from dbmigrate.lint.check import lint_files  # noqa: PLC0415 -- only where there are files
    from dbmigrate.lint.squawk import find  # noqa: PLC0415 -- as above

    return lint_files(files, policy, find(squawk), server_version, limit)


def lint(
    ctx: click.Context, files: Sequence[Path], *, pending: bool, every: bool, options: LintOptions
) -> int:
    """Run `dbmigrate lint`; its exit code.

    Raises:
        DbmigrateError: nothing was looked at.
    """
    from dbmigrate.cli.invocation import Request, execute  # noqa: PLC0415 -- it imports this

    if bool(files) + pending + every > 1:
        raise UsageError(
            "FILES, --pending and --all exclude each other",
            hint="name files, or ask for the pending ones, or for all",
        )
    if files or every or not (pending or _names_database(ctx)):
        return _without_database(ctx, files, options)
    return execute(ctx, Request("lint"))


def _names_database(ctx: click.Context) -> bool:
    from dbmigrate.cli.settings.resolving import resolve  # noqa: PLC0415 -- only where it decides

    app: App = ctx.obj
    try:
        resolve(common_of(ctx), app.process)
    except UsageError as error:
        return error.error_code != "NoDatabase"  # any other is told when it is used
    return True


def _without_database(ctx: click.Context, files: Sequence[Path], options: LintOptions) -> int:
    from dbmigrate.api.report.events import EventName  # noqa: PLC0415 -- as needed
    from dbmigrate.api.report.outcome import Outcome  # noqa: PLC0415 -- as needed
    from dbmigrate.api.report.result import RunResult  # noqa: PLC0415 -- as needed
    from dbmigrate.cli.invocation import read  # noqa: PLC0415 -- it imports this
    from dbmigrate.cli.results import now  # noqa: PLC0415 -- as above
    from dbmigrate.cli.settings.resolving import lint_of  # noqa: PLC0415 -- as above

    app: App = ctx.obj
    began = time.monotonic()
    common = common_of(ctx)
    with app.interruption.raising():
        source = read(app, "lint", common)
        policy = lint_policy(options, lint_of(common, app.process))
        chosen = _named(source, files) if files else _all(source)
        report = _look(chosen, policy, options.squawk, None, NO_LIMIT)
    app.output.emit(EventName.LINT, report=report)
    return app.finish(
        RunResult(
            command="lint",
            outcome=Outcome.SUCCEEDED,
            exit_code=1 if report.refusing else 0,
            finished_at=now(),
            message=report.summary,
            environment=common.environment,
            source_digest=source.digest,
            lint=report,
            duration_ms=round((time.monotonic() - began) * 1000),
        )
    )


def lint_policy(options: LintOptions, environment: Wish) -> Policy:
    """The rules of `dbmigrate lint`, which is for finding: it has no ``off``."""
    policy = options.policy(environment, LintLevel.REFUSE)
    return Policy(LintLevel.REPORT, policy.rules) if policy.level is LintLevel.OFF else policy


def _all(source: Source) -> list[SourceFile]:
    return [*source.migrations, *source.repeatables, *source.rollbacks.values()]


def _named(source: Source, files: Sequence[Path]) -> list[SourceFile]:
    """Those files; verifications are passed over, since what they do is undone."""
    verifies = {Path(each.path).resolve() for some in source.verifies.values() for each in some}
    known = {Path(each.path).resolve(): each for each in _all(source)}
    found: dict[Path, SourceFile] = {}
    for file in files:
        path = file.resolve()
        if path in verifies:
            continue
        if path not in known:
            raise UsageError(
                f"{file} is no file of the source",
                code="UnknownFile",
                hint="give the folder that it is in by --source DIR",
            )
        found[path] = known[path]
    return list(found.values())
