"""From a spec and a plan to the runner's command line."""

from __future__ import annotations

from dbmigrate.api.databasemigration import DatabaseMigrationSpec
from dbmigrate.api.names import Action
from dbmigrate.api.spec.execution import Execution
from dbmigrate.controller.decision import JobPlan
from dbmigrate.controller.manifests.files import (
    DATABASE_MOUNT,
    PODINFO_MOUNT,
    TERMINATION_FILE,
    source_folders,
)
from dbmigrate.controller.manifests.owner import Owner

_COMMANDS = {Action.STATUS: "status", Action.CHECK: "check"}
_BYTES = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_LEVELS = {"Ignore": "off", "Report": "report", "Refuse": "refuse"}
"""The linter's levels as the command line has them: a bare ``Off`` is false in YAML."""


def arguments_of(owner: Owner, spec: DatabaseMigrationSpec, plan: JobPlan) -> list[str]:
    """The arguments of the runner that carries out a plan."""
    command = [_COMMANDS[plan.action]] if plan.action in _COMMANDS else _migrate(spec)
    arguments = ["--output", "json", *command]
    for folder in source_folders(spec):
        arguments += ["--source", folder]
    arguments += [
        "--database-secret",
        DATABASE_MOUNT,
        "--history-schema",
        spec.database.history_schema,
        "--environment",
        spec.environment,
        "--expect-source",
        plan.source_digest,
        "--applied-by",
        f"{owner.namespace}/{owner.name}",
        "--resource-uid",
        owner.uid,
        "--resource-generation",
        str(plan.generation),
        "--wait-lock",
        spec.execution.advisory_lock_timeout,
        "--lock-timeout",
        spec.execution.lock_timeout,
        "--lock-retries",
        str(spec.execution.lock_retries),
        "--lock-retry-timeout",
        spec.execution.lock_retry_timeout,
        "--statement-timeout",
        spec.execution.statement_timeout,
        "--stop-file",
        f"{PODINFO_MOUNT}/stop",
        "--termination-message",
        TERMINATION_FILE,
    ]
    if plan.action is Action.MIGRATE:
        arguments += [*_rules(spec.execution), *_keeping(spec), *_lint(spec)]
    if spec.execution.transaction == "All":
        arguments += ["--transaction", "all"]
    if spec.source.revision is not None:
        arguments += ["--git-commit", spec.source.revision]
    if spec.integrity_checks and plan.action is not Action.STATUS:
        arguments += ["--checks", f"{PODINFO_MOUNT}/checks"]
    return arguments


def _migrate(spec: DatabaseMigrationSpec) -> list[str]:
    return ["up"] if spec.target_version == "latest" else ["to", spec.target_version]


def _rules(execution: Execution) -> list[str]:
    arguments = [
        "--out-of-order",
        execution.out_of_order.lower(),
        "--database-ahead",
        execution.database_ahead.lower(),
        "--foreign-history",
        execution.foreign_history.lower(),
    ]
    for name, value in sorted(execution.settings.items()):
        # In a container's arguments $(NAME) is a variable, and $$ the character itself.
        arguments += ["--set", f"{name}={value}".replace("$", "$$")]
    return arguments


def _keeping(spec: DatabaseMigrationSpec) -> list[str]:
    """What becomes of data that are lost; `up` loses none."""
    if spec.target_version == "latest":
        return []
    rollback = spec.rollback
    limit = int(rollback.keep_limit[:-2]) * _BYTES[rollback.keep_limit[-2:]]
    arguments = ["--keep-data", "on" if rollback.keep_data else "off", "--keep-limit", str(limit)]
    if rollback.backup_covers is not None:
        arguments += ["--backup-covers", rollback.backup_covers.replace("$", "$$")]
    return arguments


def _lint(spec: DatabaseMigrationSpec) -> list[str]:
    lint = spec.lint
    arguments = ["--lint-level", _LEVELS[lint.level]]
    if lint.rules:
        levels = (f"{rule}={_LEVELS[level]}" for rule, level in sorted(lint.rules.items()))
        arguments += ["--lint-rules", ",".join(levels)]
    return arguments
