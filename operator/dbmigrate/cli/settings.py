"""Where the database is: one place that knows every source of a connection and their order.

The first that says anything is taken, and nothing is mixed from several:

1. ``--database`` or ``--database-secret`` (or their variables; both at once is an error)
2. ``DATABASE_URL``
3. the ``DB_*`` keys of ``config/environments/NAME.env``, by ``--environment NAME``
4. the ``DB_*`` keys of the process's environment
5. libpq's own ``PG*`` variables

Beside it the same source may name the server itself, without a connection pooler: see
`dbmigrate.cli.direct`. What the taken source leaves open, libpq fills from its ``PG*``
variables, password file and defaults, as it does for psql. When nothing names a database
the run is refused: a guess could be the wrong one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dbmigrate.api.rules import DatabaseAhead, ForeignHistory, OutOfOrder, PlanRules
from dbmigrate.cli import direct
from dbmigrate.cli.direct import Found
from dbmigrate.cli.environment import (
    CONNECTION_KEYS,
    DIRECT_KEYS,
    FLAG_KEYS,
    KEYS,
    LINT_KEYS,
    RULE_KEYS,
    SETTINGS_KEY,
    EnvironmentSettings,
    check_name,
    read_environment_file,
    read_process,
)
from dbmigrate.cli.server_settings import unique
from dbmigrate.errors import UsageError
from dbmigrate.lint.policy import Wish

if TYPE_CHECKING:
    from dbmigrate.cli.options.merged import Common
    from dbmigrate.postgres.server.connection import ConnectionSettings

DEFAULT_CONNECT_TIMEOUT = 10.0
"""Seconds."""

NAMING_VARIABLES = ("PGSERVICE", "PGHOST", "PGHOSTADDR", "PGDATABASE")
"""Any of these libpq variables says which database is meant (PostgreSQL manual, 34.15)."""

NOT_ENFORCED: Mapping[str, tuple[bool, str]] = {
    "MIGRATION_REQUIRE_APPROVAL": (True, "nobody is asked for an approval"),
    "MIGRATION_AUTO_APPLY": (False, "`up` applies without asking"),
    "BACKUP_ENABLED": (True, "no backup is made"),
    "BACKUP_VERIFICATION": (True, "no backup is verified"),
    "AUDIT_LOGGING": (True, "nothing is written but the history"),
}
"""Rules that this release knows but does not enforce: the value that asks for it, and what
happens instead."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line and the environment say about a run's database."""

    connection: ConnectionSettings
    connect_timeout: float
    """Seconds."""
    lock_timeout: float
    """Seconds."""
    lock_retries: int
    lock_retry_timeout: float
    """Seconds."""
    statement_timeout: float
    """Seconds."""
    server: Mapping[str, str]
    """Parameters of the server for the migrations."""
    debug_queries: bool
    rules: PlanRules
    lint: Wish
    """What the environment says of linting; options rule over it."""
    warnings: tuple[str, ...]


def resolve(common: Common, process: Mapping[str, str]) -> Settings:
    """Find the connection, by the order above.

    Args:
        common: the options.
        process: the process's environment variables.

    Raises:
        UsageError: two sources of the same rank, a password on the command line
            (PasswordOnCommandLine), no database named (NoDatabase), an unknown
            environment (UnknownEnvironment), or what a source itself finds wrong.
    """
    from dbmigrate.postgres.executing import retrying  # noqa: PLC0415 -- loads psycopg
    from dbmigrate.postgres.server.connection import ConnectionSettings  # noqa: PLC0415 -- as above

    file_path, file = _environment_file(common, process)
    option = direct.by_option(common)
    found = (
        _by_option(common)
        or _by_url(process)
        or _by_file(file, file_path)
        or _by_process(common, process, file_path, is_needed=option is None)
    )
    params, origin = dict(found.params), found.origin
    if option is not None:
        params, origin = direct.merged(params, option[0]), option[1]
    elif found.direct:
        params = direct.merged(params, found.direct)
        origin = f"{found.origin}, {found.direct_origin}"
    flags, warnings = _process_flags(process)
    flags.update((file.flags or {}) if file else {})
    warnings += [
        f"{key}={str(flags[key]).lower()} is not enforced by this release: {instead}"
        for key, (asks, instead) in NOT_ENFORCED.items()
        if flags.get(key) is asks
    ]
    if file and file.params and found.origin != str(file_path):
        warnings.append(f"the connection comes from {origin}, not from {file_path}")
    timeout = _connect_timeout(common, params, file, process)
    number = _Numbers(file, process)
    return Settings(
        ConnectionSettings(params=params, origin=origin),
        connect_timeout=timeout,
        lock_timeout=number(common.lock_timeout, "MIGRATION_LOCK_TIMEOUT", retrying.LOCK_TIMEOUT),
        lock_retries=round(number(common.lock_retries, "MIGRATION_LOCK_RETRIES", retrying.RETRIES)),
        lock_retry_timeout=number(
            common.lock_retry_timeout, "MIGRATION_LOCK_RETRY_TIMEOUT", retrying.TIME_LIMIT
        ),
        statement_timeout=number(common.statement_timeout, "MIGRATION_STATEMENT_TIMEOUT", 0.0),
        server=_server_settings(common, file, process),
        debug_queries=flags.get("DEBUG_QUERIES", False),
        rules=_rules(common, file, process),
        lint=_lint(file, process),
        warnings=tuple(warnings),
    )


def lint_of(common: Common, process: Mapping[str, str]) -> Wish:
    """What the environment says of linting, where no database is needed.

    Raises:
        UsageError: as `resolve`, but for the connection.
    """
    path, file = _environment_file(common, process, LINT_KEYS)
    if common.environment is not None and file is None:
        _require_environment(common, path)
    return _lint(file, process)


def _lint(file: EnvironmentSettings | None, process: Mapping[str, str]) -> Wish:
    said = read_process(process, LINT_KEYS).lint
    return file.lint.over(said) if file else said


def _environment_file(
    common: Common, process: Mapping[str, str], keys: Iterable[str] = KEYS
) -> tuple[Path, EnvironmentSettings | None]:
    if common.environment is None:
        return Path(), None
    folder = common.config / "environments"
    path = folder / f"{check_name(common.environment)}.env"
    try:
        exists = path.exists()
    except OSError:
        exists = True  # reading it tells what is wrong
    return path, read_environment_file(path, process, keys) if exists else None


def _by_file(file: EnvironmentSettings | None, path: Path) -> Found | None:
    if file is None or not file.params:
        return None
    return Found(file.params, str(path), file.direct, "DB_DIRECT_*")


def _by_option(common: Common) -> Found | None:
    if common.database is not None and common.database_secret is not None:
        raise UsageError(
            "both --database and --database-secret are given",
            hint="give one of them; their variables DBMIGRATE_DATABASE and "
            "DBMIGRATE_DATABASE_SECRET count too",
        )
    if common.database_secret is not None:
        from dbmigrate.cli.secret import read_direct, read_secret  # noqa: PLC0415 -- if it is used

        folder = common.database_secret
        params = read_secret(folder)
        return Found(params, f"Secret folder {folder}", read_direct(folder), "key direct-uri")
    if common.database is None:
        return None
    return Found(
        *direct.option_uri(common.database, "--database", is_typed="database" in common.typed)
    )


def _by_url(process: Mapping[str, str]) -> Found | None:
    if not process.get("DATABASE_URL"):
        return None
    from dbmigrate.postgres.server.conninfo import parse_conninfo  # noqa: PLC0415 -- loads psycopg

    urls = {
        name: parse_conninfo(process[name], origin=name)
        for name in ("DATABASE_URL", "DIRECT_DATABASE_URL")
        if process.get(name)
    }
    return Found(
        urls["DATABASE_URL"],
        "DATABASE_URL",
        urls.get("DIRECT_DATABASE_URL"),
        "DIRECT_DATABASE_URL",
    )


def _by_process(
    common: Common, process: Mapping[str, str], file_path: Path, *, is_needed: bool
) -> Found:
    if common.environment is not None and not file_path.exists() and is_needed:
        _require_environment(common, file_path)
    found = read_process(process, (*CONNECTION_KEYS, *DIRECT_KEYS))
    if found.params:
        return Found(found.params, "DB_* variables", found.direct, "DB_DIRECT_*")
    named = [name for name in NAMING_VARIABLES if process.get(name)]
    if not named and is_needed:
        raise UsageError(
            "no database is named",
            code="NoDatabase",
            hint="give --database, --database-secret, DATABASE_URL, --environment with its "
            "file, DB_HOST …, or PGHOST and PGDATABASE",
        )
    return Found({}, "PG* variables")


def _server_settings(
    common: Common, file: EnvironmentSettings | None, process: Mapping[str, str]
) -> dict[str, str]:
    """The environment's, and each option over that of the same name."""
    rules = file.server if file and file.server else read_process(process, [SETTINGS_KEY]).server
    try:
        return {**(rules or {}), **unique(common.set or ())}
    except ValueError as error:
        raise UsageError(f"--set: {error}", hint="leave one of them out") from None


def _require_environment(common: Common, path: Path) -> None:
    """Where the folder is, the environment's missing file is a mistake."""
    folder = path.parent
    if folder.is_dir():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.env")))
        raise UsageError(
            f"environment {common.environment}: there is no {path}",
            code="UnknownEnvironment",
            hint=f"{folder} has {known or 'no file at all'}",
        )


def _process_flags(process: Mapping[str, str]) -> tuple[dict[str, bool], list[str]]:
    """Flags of the process. Their names are common: another program's value is only a warning."""
    flags: dict[str, bool] = {}
    warnings: list[str] = []
    for key in FLAG_KEYS:
        try:
            flags.update(read_process(process, [key]).flags or {})
        except UsageError as error:
            warnings.append(f"{error.message}; it is taken as not set")
    return flags, warnings


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Finds a number: the option rules, then the environment's file, then the process."""

    file: EnvironmentSettings | None
    process: Mapping[str, str]

    def __call__(self, option: float | None, key: str, default: float) -> float:
        if option is not None:
            return option
        for source in (self.file, read_process(self.process, [key])):
            found = (source.numbers or {}).get(key) if source else None
            if found is not None:
                return found
        return default


def _rules(
    common: Common, file: EnvironmentSettings | None, process: Mapping[str, str]
) -> PlanRules:
    """The rules for the plan: the option rules, then the environment's file, then the process."""
    found = {**(read_process(process, RULE_KEYS).rules or {}), **((file and file.rules) or {})}
    out_of_order = common.out_of_order or found.get("MIGRATION_OUT_OF_ORDER")
    database_ahead = common.database_ahead or found.get("MIGRATION_DATABASE_AHEAD")
    foreign_history = common.foreign_history or found.get("MIGRATION_FOREIGN_HISTORY")
    default = PlanRules()
    return PlanRules(
        out_of_order=OutOfOrder(out_of_order) if out_of_order else default.out_of_order,
        database_ahead=DatabaseAhead(database_ahead) if database_ahead else default.database_ahead,
        foreign_history=(
            ForeignHistory(foreign_history) if foreign_history else default.foreign_history
        ),
    )


def _connect_timeout(
    common: Common,
    params: dict[str, str],
    file: EnvironmentSettings | None,
    process: Mapping[str, str],
) -> float:
    if common.connect_timeout is not None:
        params.pop("connect_timeout", None)  # in the URI it would rule over the option
        return common.connect_timeout
    if params.get("connect_timeout", "").isdecimal():
        return float(params["connect_timeout"])
    if file is not None and file.connect_timeout is not None:
        return file.connect_timeout
    return read_process(process, ["DB_TIMEOUT"]).connect_timeout or DEFAULT_CONNECT_TIMEOUT
