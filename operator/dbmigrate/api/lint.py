"""What a linter found in files of SQL, as it is shown and sent.

Lines and columns count from 1, columns in characters, as everywhere in a result.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

FINDINGS_LIMIT = 100
"""Findings, and gaps, that a run's report carries; it counts them all."""

REFUSED_CODE = "LintRefused"
"""Code of the failure of a run that findings refuse."""


class LintLevel(StrEnum):
    """What comes of a finding."""

    OFF = "off"
    """It is not looked for."""
    REPORT = "report"
    """It is told."""
    REFUSE = "refuse"
    """It is told, and nothing is run."""


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One place where a file breaks a rule."""

    rule: str
    level: LintLevel
    file: str
    """Where the file was read, as in a failure."""
    line: int
    column: int
    end_line: int
    end_column: int
    """The first column behind it."""
    message: str
    help: str = ""
    """What to do instead; may be empty."""
    version: str = ""
    excerpt: str = ""
    """The line with a caret below."""


@dataclass(frozen=True, slots=True)
class LintGap:
    """What the linter did not look at, and why: no finding there does not mean that all is well."""

    file: str
    reason: str
    line: int = 0
    """Where the statement begins that was left out; 0 means the whole file."""
    column: int = 0
    version: str = ""


@dataclass(frozen=True, slots=True)
class LintReport:
    """What a linter found in the files of one run."""

    linter: str
    """Its name and version; empty when it could not be run."""
    level: LintLevel
    """The level of the run: with ``report``, no finding refuses."""
    files: int = 0
    """How many files were looked at, those with gaps included."""
    refusing: int = 0
    """How many findings refuse the run."""
    reported: int = 0
    """How many findings are only told."""
    findings: tuple[LintFinding, ...] = ()
    """In the files' order; where there are too many, those that refuse are kept."""
    gaps: tuple[LintGap, ...] = ()
    gaps_total: int = 0
    error: str = ""
    """Why nothing was looked at; empty when it was."""

    @property
    def summary(self) -> str:
        """In a few words: ``1 finding to refuse, 3 findings to report, 1 gap in 2 files``."""
        if self.error:
            return "not linted"
        parts = []
        if self.refusing:
            parts.append(f"{_count(self.refusing, 'finding')} to refuse")
        if self.reported or not self.refusing:
            parts.append(f"{_count(self.reported, 'finding')} to report")
        if self.gaps_total:
            parts.append(f"{_count(self.gaps_total, 'gap')}")
        return f"{', '.join(parts)} in {_count(self.files, 'file')}"


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
