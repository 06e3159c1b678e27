"""What holds for a run: the option rules, then the environment's file, then the process.

Where the database is has an order of its own: see `dbmigrate.cli.settings.finding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbmigrate.api.rules import DatabaseAhead, ForeignHistory, OutOfOrder, PlanRules
from dbmigrate.cli.settings.environment_file import environment_of, require_environment
from dbmigrate.cli.settings.environment_keys import (
    FLAG_KEYS,
    LINT_KEYS,
    RULE_KEYS,
    SETTINGS_KEY,
    EnvironmentSettings,
    read_process,
)
from dbmigrate.cli.settings.finding import find
from dbmigrate.cli.settings.server_settings import unique
from dbmigrate.errors import UsageError
from dbmigrate.lint.policy import Wish

if TYPE_CHECKING:
    from dbmigrate.cli.options.merged import Common
    from dbmigrate.postgres.server.settings import ConnectionSettings

DEFAULT_CONNECT_TIMEOUT = 10.0
"""Seconds."""
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
    """All that holds for a run.

    Args:
        common: the options.
        process: the process's environment variables.

    Raises:
        UsageError: two sources of the same rank, a password on the command line
            (PasswordOnCommandLine), no database named (NoDatabase), an unknown
            environment (UnknownEnvironment), or what a source itself finds wrong.
    """
    from dbmigrate.postgres.executing import retrying  # noqa: PLC0415 -- loads psycopg
    from dbmigrate.postgres.server.settings import ConnectionSettings  # noqa: PLC0415 -- as above

    file_path, file = environment_of(common, process)
    found = find(common, process, file_path, file)
    flags, warnings = _process_flags(process)
    flags.update((file.flags or {}) if file else {})
    warnings += [
        f"{key}={str(flags[key]).lower()} is not enforced by this release: {instead}"
        for key, (asks, instead) in NOT_ENFORCED.items()
        if flags.get(key) is asks
    ]
    if file and file.params and found.source != str(file_path):
        warnings.append(f"the connection comes from {found.origin}, not from {file_path}")
    params = dict(found.params)
    timeout = _connect_timeout(common, params, file, process)
    number = _Numbers(file, process)
    return Settings(
        ConnectionSettings(params=params, origin=found.origin),
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
    path, file = environment_of(common, process, LINT_KEYS)
    if common.environment is not None and file is None:
        require_environment(common, path)
    return _lint(file, process)


def _lint(file: EnvironmentSettings | None, process: Mapping[str, str]) -> Wish:
    said = read_process(process, LINT_KEYS).lint
    return file.lint.over(said) if file else said


def _server_settings(
    common: Common, file: EnvironmentSettings | None, process: Mapping[str, str]
) -> dict[str, str]:
    """The environment's, and each option over that of the same name."""
    rules = file.server if file and file.server else read_process(process, [SETTINGS_KEY]).server
    try:
        return {**(rules or {}), **unique(common.set or ())}
    except ValueError as error:
        raise UsageError(f"--set: {error}", hint="leave one of them out") from None


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
