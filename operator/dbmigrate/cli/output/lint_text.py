"""What the linter found, as a person reads it: place, rule, the line, what to do instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbmigrate.api.lint import LintLevel
from dbmigrate.cli.output.wording import cut
from dbmigrate.errors import Location

if TYPE_CHECKING:
    from dbmigrate.api.lint import LintReport
    from dbmigrate.cli.output.terminal import Terminal

_LONGEST = 500


def write_report(terminal: Terminal, report: LintReport) -> None:
    """Write each finding, then what was not looked at."""
    for each in report.findings:
        refuses = each.level is LintLevel.REFUSE
        place = Location(each.file, each.line, each.column)
        word = "refused" if refuses else "warning"
        message = cut(each.message, _LONGEST)
        terminal.line(f"{place}: {word}: {message} [{each.rule}]", "bad" if refuses else "warn")
        for line in each.excerpt.splitlines():
            terminal.line(f"    {line}", "dim")
        if each.help:
            terminal.line(f"  instead: {cut(each.help, _LONGEST)}")
    left = report.refusing + report.reported - len(report.findings)
    if left:
        terminal.line(f"and {left} more; `dbmigrate lint` shows all", "warn")
    for gap in report.gaps:
        place = Location(gap.file, gap.line, gap.column)
        terminal.line(f"{place}: not linted: {cut(gap.reason, _LONGEST)}", "warn")
    if report.gaps_total > len(report.gaps):
        terminal.line(f"and {report.gaps_total - len(report.gaps)} more not linted", "warn")
