"""Integrity checks: rules about data that a schema cannot promise, or that it promised untruly.

The same list stands in a resource (`spec.integrityChecks`) and in the file that `dbmigrate check`
reads. A check has a name, a severity and exactly one body, which says what kind of rule it is. How
checks are run is `dbmigrate.postgres.integrity.checks`'s business; nothing here touches a database.

A structural schema cannot say "one of these": each kind is an optional field, and a rule (here for
files, as CEL for the API server) demands exactly one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel

from dbmigrate.api.base import ApiModel, cel
from dbmigrate.api.check_kinds import (
    AcceptedValues,
    ForeignKeys,
    Pattern,
    Query,
    Range,
    Relationship,
    StoredCount,
    Unique,
)

KINDS = (
    "relationship",
    "foreign_keys",
    "stored_count",
    "unique",
    "accepted_values",
    "pattern",
    "range",
    "query",
)
"""The fields of `IntegrityCheck` of which exactly one is given."""
MAX_CHECKS = 50
"""Checks in one list, in a resource as in a file."""
_CEL_KINDS = ", ".join(f"has(self.{to_camel(kind)})" for kind in KINDS)
_ONE_KIND = "give exactly one of " + ", ".join(to_camel(kind) for kind in KINDS)
CheckName = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.>-]*[A-Za-z0-9])?$"
    ),
]


class Severity(StrEnum):
    """How bad it is when a check fails."""

    CRITICAL = "critical"
    """Somebody must act now: listeners of `data_integrity_alert` are told."""
    WARNING = "warning"
    """The database is not healthy, and nobody is woken."""
    INFO = "info"
    """Worth knowing; the database still counts as healthy."""


class IntegrityCheck(ApiModel):
    """A rule that the data must obey."""

    model_config = ConfigDict(
        json_schema_extra=cel({f"[{_CEL_KINDS}].filter(given, given).size() == 1": _ONE_KIND})
    )

    name: CheckName
    """Name of the check, unique in its list, such as `questions->exams`."""

    severity: Severity = Severity.WARNING
    """How bad a failure is: critical, warning or info."""

    description: Annotated[str, StringConstraints(max_length=1024)] = ""
    """What the rule is for, for the people who read the report."""

    relationship: Relationship | None = None
    """Rows whose referenced row does not exist (orphans), declared as foreign key or not."""

    foreign_keys: ForeignKeys | None = None
    """Rows that violate a declared foreign key, NOT VALID ones included."""

    stored_count: StoredCount | None = None
    """Rows whose stored count differs from the number of rows that it counts."""

    unique: Unique | None = None
    """Rows that share a key."""

    accepted_values: AcceptedValues | None = None
    """Rows whose column holds another value than those listed."""

    pattern: Pattern | None = None
    """Rows whose column does not match a regular expression."""

    range: Range | None = None
    """Rows whose column lies outside of the bounds."""

    query: Query | None = None
    """A query that returns the rows that are wrong."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in KINDS) != 1:
            raise ValueError(_ONE_KIND)
        return self


class IntegrityCheckFile(ApiModel):
    """The file beside the migrations: the same list, under the same key, as in a resource."""

    integrity_checks: Annotated[tuple[IntegrityCheck, ...], Field(max_length=MAX_CHECKS)]
    """The checks; names are unique."""

    @model_validator(mode="after")
    def _unique_names(self) -> Self:
        seen: set[str] = set()
        for check in self.integrity_checks:
            if check.name in seen:
                raise ValueError(f"two checks are named {check.name!r}")
            seen.add(check.name)
        return self
