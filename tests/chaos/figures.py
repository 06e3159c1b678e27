"""`python -m tests.chaos.figures`: the figures of a campaign, as docs/safety.md has them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.chaos.judging import Kind

_SUMMARY: Final = Path(".cache/chaos/summary.json")
_NAMES: Final = {
    Kind.DOUBLE: "applied twice",
    Kind.LOST: "lost",
    Kind.HALF: "half",
    Kind.UNSEEN: "unseen",
    Kind.UNTRUE: "untrue results",
    Kind.STUCK: "stuck",
    Kind.LEFTOVER: "left behind",
}


def paragraph(figures: Mapping[str, Any]) -> Iterator[str]:
    """Lines of Markdown, by what `make chaos` wrote."""
    trials: dict[str, int] = figures["trials"]
    numbers = ", ".join(f"{number:,} on {version}" for version, number in trials.items())
    seeds = figures["seeds"]
    yield (
        f"{sum(trials.values()):,} trials (seeds {seeds['first']} to {seeds['last']}; {numbers}) "
        f"in {figures['seconds'] / 60:.0f} minutes: {figures['runs']:,} runs; "
        f"{figures['faultsThatFoundARunAtWork']:,} faults that found a run at work; "
        f"{figures['answersToCommitLost']:,} answers to COMMIT lost; "
        f"{figures['looks']:,} looks at the database."
    )
    yield ""
    yield _row(_NAMES.values())
    yield _row("---" for _ in _NAMES).replace(" ", "")
    yield _row(str(figures["violations"][kind]) for kind in _NAMES)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else _SUMMARY
    print(*paragraph(json.loads(path.read_text())), sep="\n")
