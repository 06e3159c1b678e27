"""What comes of what the linter finds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dbmigrate.api.base import ApiModel

LintRuleLevel = Literal["Ignore", "Report", "Refuse"]


class Lint(ApiModel):
    """What comes of what the linter finds in pending files: long locks, rewrites, lost data."""

    level: LintRuleLevel = "Report"
    """Refuse stops a run before anything is touched when a finding's own rule is to refuse; Report
    only tells findings, in the status and by an Event; Ignore looks for none."""

    rules: Annotated[dict[str, LintRuleLevel], Field(max_length=100)] = {}
    """Levels of single rules of squawk, by name such as ban-drop-column, over the runner's own.
    docs/lint.md lists them."""
