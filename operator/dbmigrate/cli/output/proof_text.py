"""Proved rollbacks, as people read them."""

from __future__ import annotations

from dbmigrate.api.report.proof import ProofDifference, ProofStatus, ProvedMigration
from dbmigrate.cli.output.terminal import Terminal
from dbmigrate.cli.output.wording import cut

_WORDS = {
    ProofStatus.PROVED: ("proved", "good"),
    ProofStatus.DIFFERS: ("does not lead back", "bad"),
    ProofStatus.NO_ROLLBACK: ("has no rollback", "warn"),
    ProofStatus.FAILED: ("failed", "bad"),
}
_PHASES = {
    "up": "going up",
    "down": "rolling back",
    "secondUp": "going up again",
    "afterRollback": "after the rollback",
    "afterSecondUp": "after going up again",
}


def write_proved(out: Terminal, proved: ProvedMigration) -> None:
    """One migration: whether it is proved, and what did not come back."""
    words, style = _WORDS[proved.status]
    if proved.failure is not None:
        words = f"failed {_PHASES[proved.phase]}: {cut(proved.failure.message, 500)}"
    out.line(f"{proved.version} {proved.file} {words}", style)
    for each in proved.differences:
        out.line(
            f"      {describe(each)}", "dim" if proved.status is ProofStatus.PROVED else "warn"
        )
        for line in each.diff.splitlines():
            out.line(f"          {line}", "dim")


def describe(each: ProofDifference) -> str:
    """``index public.i: missing after the rollback``."""
    return f"{each.kind} {each.identity}: {each.difference} {_PHASES[each.phase]}"
