"""The options that every command has, accepted before and after the command's name.

Each is also an environment variable, ``DBMIGRATE_`` and its name. What stands after the
command rules over what stands before it, and both rule over the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from dbmigrate.api.rules import DatabaseAhead, ForeignHistory, OutOfOrder
from dbmigrate.cli.parameters import MAX_RETRIES, Duration
from dbmigrate.cli.server_settings import ServerSetting

F = TypeVar("F", bound=Callable[..., Any])

WHERE = "Where the database and the migrations are"
HOW = "How it runs"
RECORD = "What is recorded in the history"
SUPERVISOR = "For a supervisor, such as the operator"
SHOW = "What is shown"
OWN = "Options of this command"
SECTIONS = (OWN, WHERE, HOW, RECORD, SHOW, SUPERVISOR)

MAX_GENERATION = 2**63 - 1
"""Of a Kubernetes resource: int64, as the history's bigint."""


@dataclass(frozen=True, slots=True)
class Common:
    """The values of the common options, merged."""

    source: tuple[Path, ...]
    database: str | None
    typed: frozenset[str]
    """Which of these were arguments, where every user of the machine reads them."""
    direct_database: str | None
    database_secret: Path | None
    environment: str | None
    config: Path
    history_schema: str
    wait_lock: float
    lock_timeout: float | None
    lock_retries: int | None
    lock_retry_timeout: float | None
    statement_timeout: float | None
    set: tuple[tuple[str, str], ...]
    """Parameters of the server, by name; none twice."""
    connect_timeout: float | None
    git_commit: str | None
    applied_by: str | None
    resource_uid: str | None
    resource_generation: int | None
    out_of_order: str | None
    database_ahead: str | None
    foreign_history: str | None
    expect_source: str | None
    transaction: str
    stop_file: Path | None
    termination_message: Path | None
    output: str
    verbose: bool


class Option(click.Option):
    """An option that belongs to a section of the help and has its environment variable."""

    def __init__(self, *args: Any, section: str = OWN, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section
        if self.envvar is None and self.name is not None:
            self.envvar = f"DBMIGRATE_{self.name.upper()}"


class _Path(click.Path):
    """A path; an empty text is refused: ``--source "$UNSET"`` must not mean this folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if value == "":
            self.fail("it is empty", param, ctx)
        return super().convert(value, param, ctx)


FILE = _Path(path_type=Path, readable=False)
"""Whether it is there and can be read is said by who reads it, with a code and a hint."""
_FOLDER = FILE


def _option(*names: str, section: str, **kwargs: Any) -> Callable[[F], F]:
    return click.option(*names, cls=Option, section=section, **kwargs)


_COMMON: tuple[Callable[[Any], Any], ...] = (
    _option(
        "--source",
        section=WHERE,
        multiple=True,
        type=_FOLDER,
        metavar="DIR",
        default=[Path("migrations")],
        show_default=False,
        help="Folder of migrations; may be given several times.  [default: migrations]",
    ),
    _option(
        "--database",
        section=WHERE,
        metavar="URI",
        help="The database, as postgresql://user@host/dbname, without its password.",
    ),
    _option(
        "--database-secret",
        section=WHERE,
        type=_FOLDER,
        metavar="DIR",
        help="The database, as a mounted Kubernetes Secret: uri, or host, port, dbname …",
    ),
    _option(
        "--direct-database",
        section=WHERE,
        metavar="URI",
        help="The same database without its connection pooler; used instead where it is given.",
    ),
    _option(
        "--environment",
        section=WHERE,
        metavar="NAME",
        help="Recorded in the history; its file in the configuration's folder is read.",
    ),
    _option(
        "--config",
        section=WHERE,
        type=_FOLDER,
        metavar="DIR",
        default=Path("config"),
        show_default=False,
        help="Folder that holds environments/NAME.env.  [default: config]",
    ),
    _option(
        "--history-schema",
        section=WHERE,
        metavar="NAME",
        default="public",
        show_default=True,
        help="Schema of the bookkeeping tables.",
    ),
    _option(
        "--connect-timeout",
        section=HOW,
        type=Duration(),
        help="How long one attempt to connect may take, at least 2s.  [default: 10s]",
    ),
    _option(
        "--wait-lock",
        section=HOW,
        type=Duration(),
        default="1m",
        show_default=True,
        help="How long to wait for another runner to finish.",
    ),
    _option(
        "--lock-timeout",
        section=HOW,
        type=Duration(),
        help="How long a statement may wait for a table's lock before its file is tried again.  "
        "[default: 2s]",
    ),
    _option(
        "--lock-retries",
        section=HOW,
        type=click.IntRange(min=0, max=MAX_RETRIES),
        metavar="N",
        help="How often a file is tried again that did not get a table's lock.  [default: 20]",
    ),
    _option(
        "--lock-retry-timeout",
        section=HOW,
        type=Duration(),
        help="How long such a file is tried again; 0 is without end.  [default: 5m]",
    ),
    _option(
        "--statement-timeout",
        section=HOW,
        type=Duration(),
        help="How long one statement may take.  [default: 0, without end]",
    ),
    _option(
        "--set",
        section=HOW,
        multiple=True,
        type=ServerSetting(),
        metavar="NAME=VALUE",
        help="A parameter of the server for the migrations, such as maintenance_work_mem=1GB; "
        "may be given several times.",
    ),
    _option(
        "--out-of-order",
        section=HOW,
        type=click.Choice([each.value for each in OutOfOrder]),
        help="What to do about a pending file older than the current version.  [default: refuse]",
    ),
    _option(
        "--database-ahead",
        section=HOW,
        type=click.Choice([each.value for each in DatabaseAhead]),
        help="What to do about a database with newer versions than the source has.  "
        "[default: refuse]",
    ),
    _option(
        "--foreign-history",
        section=HOW,
        type=click.Choice([each.value for each in ForeignHistory]),
        help="What to do about a database that another tool has migrated.  [default: refuse]",
    ),
    _option(
        "--transaction",
        section=HOW,
        type=click.Choice(["file", "all"]),
        default="file",
        show_default=True,
        help="Commit each file by itself, or all pending files together: all of them or none.",
    ),
    _option(
        "--git-commit",
        section=RECORD,
        metavar="REV",
        envvar=["DBMIGRATE_GIT_COMMIT", "GITHUB_SHA", "CI_COMMIT_SHA"],
        help="The commit that the migrations come from; GITHUB_SHA and CI_COMMIT_SHA serve too.",
    ),
    _option(
        "--applied-by",
        section=RECORD,
        metavar="TEXT",
        help="Who applies.  [default: user@host]",
    ),
    _option(
        "--output",
        section=SHOW,
        type=click.Choice(["text", "json", "sarif", "github"]),
        default="text",
        show_default=True,
        help="Text for people, one JSON object a line with the result as the last line, SARIF "
        "2.1.0, or GitHub's annotations.",
    ),
    _option(
        "--verbose",
        "-v",
        section=SHOW,
        is_flag=True,
        help="Also show where the connection comes from, and how far a longer file is.",
    ),
    _option(
        "--expect-source",
        section=SUPERVISOR,
        metavar="DIGEST",
        help="Refuse to run when the source's digest is another one.",
    ),
    _option(
        "--resource-uid",
        section=SUPERVISOR,
        metavar="UID",
        help="The resource on whose behalf this runs; recorded in the history.",
    ),
    _option(
        "--resource-generation",
        section=SUPERVISOR,
        type=click.IntRange(min=1, max=MAX_GENERATION),
        metavar="N",
        help="The resource's generation; an older one than recorded is refused.",
    ),
    _option(
        "--stop-file",
        section=SUPERVISOR,
        type=FILE,
        metavar="FILE",
        help="Looked at between two files: not empty means stop. Its text is the reason.",
    ),
    _option(
        "--termination-message",
        section=SUPERVISOR,
        type=FILE,
        metavar="FILE",
        help="Write the result there, in at most 4,096 bytes.",
    ),
)


def common_options(function: F) -> F:
    """Give a command all common options."""
    for each in reversed(_COMMON):
        function = each(function)
    return function


def common_of(ctx: click.Context) -> Common:
    """The common options' values: the command's, else the group's, else the environment's."""
    values: dict[str, Any] = {}
    on_command_line: set[str] = set()
    for name in Common.__dataclass_fields__:
        if name == "typed":
            continue
        chosen = ctx
        for each in _outwards(ctx):
            if each.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                on_command_line.add(name)
                chosen = each
                break
        values[name] = chosen.params[name]
    # Of two ways to name the database, the one that was typed rules over the environment's.
    for typed, other in (("database", "database_secret"), ("database_secret", "database")):
        if typed in on_command_line and other not in on_command_line:
            values[other] = None
    # A direct address from the environment belongs to the environment's database.
    if (
        on_command_line & {"database", "database_secret"}
        and "direct_database" not in on_command_line
    ):
        values["direct_database"] = None
    return Common(typed=frozenset(on_command_line), **values)


def _outwards(ctx: click.Context) -> Iterator[click.Context]:
    """The command's context, then those of the groups that it stands in."""
    inner: click.Context | None = ctx
    while inner is not None:
        yield inner
        inner = inner.parent


class SectionedCommand(click.Command):
    """A command that belongs to a section, and whose help shows its options by section."""

    def __init__(self, *args: Any, section: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, each under its section's heading."""
        _write_options(self, ctx, formatter)


class SectionedGroup(click.Group):
    """The group: its help shows the commands by section, then the common options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section, then the options by theirs."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            heading = getattr(command, "section", "")
            sections.setdefault(heading, []).append((name, command.get_short_help_str(80)))
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)
        _write_options(self, ctx, formatter)


def _write_options(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    for section in SECTIONS:
        records = [
            record
            for param in command.get_params(ctx)
            if getattr(param, "section", OWN) == section
            and not isinstance(param, click.Argument)
            and (record := param.get_help_record(ctx)) is not None
        ]
        if records:
            with formatter.section(section):
                formatter.write_dl(records)
    formatter.write_paragraph()
    formatter.write_text(
        "Each option is also an environment variable: DBMIGRATE_ and its name, such as "
        "DBMIGRATE_LOCK_TIMEOUT."
    )
