"""One file to be run, with all that whatever runs it needs to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbmigrate.migrations.statements import Statement
from dbmigrate.postgres.server.session import Request, Session

if TYPE_CHECKING:
    from dbmigrate.postgres.executing.prerequisites import Script


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told how a file goes."""

    on_statement: Callable[[Statement], None]
    """A statement was reached; called for each, so it must be quick."""
    on_end: Callable[[], None]
    """All statements are done; the history's row is written."""
    on_commit: Callable[[], None]
    """A part of the file is committed, and stays whatever becomes of the rest."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One file, one attempt."""

    session: Session
    """Holds the advisory lock; outside of a transaction."""
    script: Script
    write: Callable[[int], Request]
    """Makes the history row's statement from the milliseconds that the file took."""
    watch: Watch
    history: str
    """The history's table, quoted, which must be the same one in the end."""
    settings: Mapping[str, str]
    """Run-time parameters for the file, such as its statement_timeout."""
    asking: Callable[[], None] | None = None
    """Asks, in a transaction, whether the file has done what it should."""
