"""How a run ended, and why it did not succeed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a run ended."""

    SUCCEEDED = "Succeeded"
    """Did what was asked, or found nothing to do."""
    FAILED = "Failed"
    """A statement failed, the database was out of reach, the lock was not to be had."""
    BLOCKED = "Blocked"
    """Refused before anything was touched; a person must decide (edited file, invalid source …)."""
    STOPPED = "Stopped"
    """Stopped between two files because the operator asked for it; the rest is pending."""
    INTERRUPTED = "Interrupted"
    """A signal ended it; the open transaction was undone."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run did not succeed. Every text is free of passwords."""

    code: str
    """Stable name: an error's code, such as MigrationFailed, ChecksumMismatch, Unreachable."""
    message: str
    hint: str = ""
    version: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    excerpt: str = ""
    statement: int = 0
    sqlstate: str = ""
    detail: str = ""
    server_message: str = ""
    server_hint: str = ""
    transient: bool = False
    """The same run may well succeed later by itself."""
    touched: bool = False
    """Some statement of a migration had been sent before it failed; a rollback that was only tried
    and then refused does not count."""
