"""The options that every command has, accepted before and after the command's name.

Each is also an environment variable, ``DBMIGRATE_`` and its name. Which of several values counts
is said by `dbmigrate.cli.options.merged`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import click

from dbmigrate.api.rules import DatabaseAhead, ForeignHistory, OutOfOrder, PlanRules
from dbmigrate.cli.options.parameters import FILE, MAX_RETRIES, Duration, one_of
from dbmigrate.cli.options.sections import HOW, RECORD, SHOW, SUPERVISOR, WHERE, F, option, together
from dbmigrate.cli.settings.server_settings import ServerSetting

MAX_GENERATION = 2**63 - 1
"""Of a Kubernetes resource: int64, as the history's bigint."""


def _rule(name: str, words: type[StrEnum], question: str) -> Callable[[F], F]:
    """A rule for the plan. Its default is told, not set: without it the environment is asked."""
    default = getattr(PlanRules(), name.removeprefix("--").replace("-", "_"))
    text = f"{question}  [default: {default}]"
    return option(name, section=HOW, type=one_of(*words), help=text)


common_options = together(
    option(
        "--source",
        section=WHERE,
        multiple=True,
        type=FILE,
        metavar="DIR",
        default=[Path("migrations")],
        show_default=False,
        help="Folder of migrations; may be given several times.  [default: migrations]",
    ),
    option(
        "--database",
        section=WHERE,
        metavar="URI",
        help="The database, as postgresql://user@host/dbname, without its password.",
    ),
    option(
        "--database-secret",
        section=WHERE,
        type=FILE,
        metavar="DIR",
        help="The database, as a mounted Kubernetes Secret: uri, or host, port, dbname …",
    ),
    option(
        "--direct-database",
        section=WHERE,
        metavar="URI",
        help="The same database without its connection pooler; used instead where it is given.",
    ),
    option(
        "--environment",
        section=WHERE,
        metavar="NAME",
        help="Recorded in the history; its file in the configuration's folder is read.",
    ),
    option(
        "--config",
        section=WHERE,
        type=FILE,
        metavar="DIR",
        default=Path("config"),
        show_default=False,
        help="Folder that holds environments/NAME.env.  [default: config]",
    ),
    option(
        "--history-schema",
        section=WHERE,
        metavar="NAME",
        default="public",
        show_default=True,
        help="Schema of the bookkeeping tables.",
    ),
    option(
        "--connect-timeout",
        section=HOW,
        type=Duration(),
        help="How long one attempt to connect may take, at least 2s.  [default: 10s]",
    ),
    option(
        "--wait-lock",
        section=HOW,
        type=Duration(),
        default="1m",
        show_default=True,
        help="How long to wait for another runner to finish.",
    ),
    option(
        "--lock-timeout",
        section=HOW,
        type=Duration(),
        help="How long a statement may wait for a table's lock before its file is tried again.  "
        "[default: 2s]",
    ),
    option(
        "--lock-retries",
        section=HOW,
        type=click.IntRange(min=0, max=MAX_RETRIES),
        metavar="N",
        help="How often a file is tried again that did not get a table's lock.  [default: 20]",
    ),
    option(
        "--lock-retry-timeout",
        section=HOW,
        type=Duration(),
        help="How long such a file is tried again; 0 is without end.  [default: 5m]",
    ),
    option(
        "--statement-timeout",
        section=HOW,
        type=Duration(),
        help="How long one statement may take.  [default: 0, without end]",
    ),
    option(
        "--set",
        section=HOW,
        multiple=True,
        type=ServerSetting(),
        metavar="NAME=VALUE",
        help="A parameter of the server for the migrations, such as maintenance_work_mem=1GB; "
        "may be given several times.",
    ),
    _rule(
        "--out-of-order",
        OutOfOrder,
        "What to do about a pending file older than the current version.",
    ),
    _rule(
        "--database-ahead",
        DatabaseAhead,
        "What to do about a database with newer versions than the source has.",
    ),
    _rule(
        "--foreign-history",
        ForeignHistory,
        "What to do about a database that another tool has migrated.",
    ),
    option(
        "--transaction",
        section=HOW,
        type=one_of("file", "all"),
        default="file",
        show_default=True,
        help="Commit each file by itself, or all pending files together: all of them or none.",
    ),
    option(
        "--git-commit",
        section=RECORD,
        metavar="REV",
        envvar=["DBMIGRATE_GIT_COMMIT", "GITHUB_SHA", "CI_COMMIT_SHA"],
        help="The commit that the migrations come from; GITHUB_SHA and CI_COMMIT_SHA serve too.",
    ),
    option(
        "--applied-by",
        section=RECORD,
        metavar="TEXT",
        help="Who applies.  [default: user@host]",
    ),
    option(
        "--output",
        section=SHOW,
        type=one_of("text", "json", "sarif", "github"),
        default="text",
        show_default=True,
        help="Text for people, one JSON object a line with the result as the last line, SARIF "
        "2.1.0, or GitHub's annotations.",
    ),
    option(
        "--verbose",
        "-v",
        section=SHOW,
        is_flag=True,
        help="Also show where the connection comes from, and how far a longer file is.",
    ),
    option(
        "--expect-source",
        section=SUPERVISOR,
        metavar="DIGEST",
        help="Refuse to run when the source's digest is another one.",
    ),
    option(
        "--resource-uid",
        section=SUPERVISOR,
        metavar="UID",
        help="The resource on whose behalf this runs; recorded in the history.",
    ),
    option(
        "--resource-generation",
        section=SUPERVISOR,
        type=click.IntRange(min=1, max=MAX_GENERATION),
        metavar="N",
        help="The resource's generation; an older one than recorded is refused.",
    ),
    option(
        "--stop-file",
        section=SUPERVISOR,
        type=FILE,
        metavar="FILE",
        help="Looked at between two files: not empty means stop. Its text is the reason.",
    ),
    option(
        "--termination-message",
        section=SUPERVISOR,
        type=FILE,
        metavar="FILE",
        help="Write the result there, in at most 4,096 bytes.",
    ),
)
"""Gives a command all common options."""
