"""squawk's rules, and what each is worth here unless a user says otherwise.

Refused (in a run whose level is ``refuse``) is what loses data, breaks the application that
is running now, or reads or rewrites a whole table under a lock that stops its traffic.
Reported is what may. Off is what makes no sense here, and what is a matter of taste.
docs/lint.md gives the reason for each; a test compares.
"""

from __future__ import annotations

from dataclasses import dataclass

from dbmigrate.api.lint import LintLevel


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    name: str
    level: LintLevel
    """What a finding is worth by default."""
    opt_in: bool = False
    """squawk itself leaves it out unless it is asked for."""


REFUSED = (
    "adding-field-with-default",
    "adding-foreign-key-constraint",
    "adding-not-nullable-field",
    "adding-required-field",
    "adding-serial-primary-key-field",
    "ban-drop-column",
    "ban-drop-database",
    "ban-drop-schema",
    "ban-drop-table",
    "ban-truncate-cascade",
    "changing-column-type",
    "constraint-missing-not-valid",
    "disallowed-unique-constraint",
    "prefer-repack",
    "renaming-column",
    "renaming-table",
    "require-concurrent-index-creation",
    "require-concurrent-reindex",
)
REPORTED = (
    "ban-alter-domain-with-add-constraint",
    "ban-alter-identity",
    "ban-concurrent-index-creation-in-transaction",
    "ban-create-domain-with-constraint",
    "ban-drop-constraint",
    "ban-drop-default",
    "ban-drop-domain",
    "ban-drop-extension",
    "ban-drop-function",
    "ban-drop-generated-expression",
    "ban-drop-not-null",
    "ban-drop-sequence",
    "ban-drop-type",
    "ban-drop-view",
    "ban-duplicate-column-assignments",
    "ban-set-schema",
    "ban-uncommitted-transaction",
    "identifier-too-long",
    "renaming-object",
    "require-concurrent-index-deletion",
    "require-concurrent-partition-detach",
    "transaction-nesting",
    "unused-ignore",
)
OFF = (
    "ban-char-field",
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-robust-stmts",
    "prefer-text-field",
    "prefer-timestamp-tz",
    "require-enum-value-ordering",
    "require-lock-timeout",
    "require-statement-timeout",
)
OFF_IN_SQUAWK = (
    "ban-add-column",
    "ban-add-composite-attribute",
    "ban-add-enum-value",
    "ban-alter-database-options",
    "ban-alter-extension",
    "ban-alter-function-options",
    "ban-alter-generated-expression",
    "ban-alter-policy-condition",
    "ban-alter-policy-roles",
    "ban-alter-role-options",
    "ban-alter-row-level-security",
    "ban-alter-sequence-values",
    "ban-alter-system-options",
    "ban-alter-view-options",
    "ban-create-policy",
    "ban-detach-inheritance",
    "ban-disable-trigger",
    "ban-drop-index",
    "ban-drop-policy",
    "ban-drop-trigger",
    "ban-new-write-restriction",
    "ban-replace-view-function",
    "ban-replica-identity",
    "ban-revoke",
    "ban-set-default",
    "require-table-schema",
)

RULES = {
    **{name: Rule(name, LintLevel.REFUSE) for name in REFUSED},
    **{name: Rule(name, LintLevel.REPORT) for name in REPORTED},
    **{name: Rule(name, LintLevel.OFF) for name in OFF},
    **{name: Rule(name, LintLevel.OFF, opt_in=True) for name in OFF_IN_SQUAWK},
}
"""All rules of the squawk that we are tested with; one of a later squawk is reported."""

UNSWITCHABLE = "unused-ignore"
"""squawk has no switch for it: its findings are left out afterwards."""
SYNTAX_ERROR = "syntax-error"
"""Not a rule: what squawk's parser cannot read. The server alone judges a file's syntax."""

_ALIASES = {"prefer-timestamptz": "prefer-timestamp-tz"}
_PAGES = {"prefer-timestamp-tz": "prefer-timestamptz"}


def canonical(name: str) -> str | None:
    """The rule's name as squawk tells it, from any name that it knows; None for an unknown one."""
    name = _ALIASES.get(name, name)
    return name if name in RULES else None


def page(rule: str) -> str:
    """Where squawk explains the rule."""
    return f"https://squawkhq.com/docs/{_PAGES.get(rule, rule)}"
