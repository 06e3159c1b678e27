"""The engine's section of docs/benchmarks.md, between two markers."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bench.engine import Measured
    from tests.bench.measure import Run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- engine: begin -->", "<!-- engine: end -->"
FLOOR = "psql"


def write(measured: Sequence[Measured], major: int, absent: Sequence[str]) -> None:
    """Put the figures into the page.

    Raises:
        ValueError: the page has no place for them.
    """
    page = PAGE.read_text(encoding="utf-8")
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE}: {BEGIN} … {END} is missing")
    when = datetime.now(UTC).date().isoformat()
    lines = [f"Measured on {when}, PostgreSQL {major}, Python {platform.python_version()}."]
    if absent:
        lines += ["", "Left out: " + "; ".join(absent) + "."]
    text = "\n".join([*lines, "", section(measured)])
    PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")


def section(measured: Sequence[Measured]) -> str:
    """One table for each scenario."""
    return "\n".join(line for each in measured for line in _table(each))


def _table(measured: Measured) -> Iterator[str]:
    scenario, runs = measured.scenario, measured.runs
    floor = runs.get(FLOOR)
    kind = "nothing to do, " if scenario.is_noop else ""
    yield f"**{kind}{scenario.title}** ({scenario.rounds} rounds)"
    yield ""
    yield "| tool | median | min to max | of psql's | CPU: tool | CPU: server | peak memory |"
    yield "|---|---|---|---|---|---|---|"
    for name, each in sorted(runs.items(), key=lambda item: _median(item[1], "wall")):
        walls = [run.wall for run in each]
        yield (
            f"| {name} | {statistics.median(walls):.2f} s | {min(walls):.2f} to {max(walls):.2f} "
            f"| {_ratio(each, floor)} | {_median(each, 'cpu'):.2f} s "
            f"| {_median(each, 'server_cpu'):.2f} s | {_median(each, 'memory'):.0f} MB |"
        )
    for name, why in measured.failures.items():
        yield f"| {name} | failed: {why.replace('|', '/')} | | | | | |"
    yield ""


def _median(runs: Sequence[Run], what: str) -> float:
    return statistics.median(getattr(run, what) for run in runs)


def _ratio(runs: Sequence[Run], floor: Sequence[Run] | None) -> str:
    """The median of each round's own ratio: what slows a whole round down cancels out."""
    if floor is None or len(floor) != len(runs):
        return ""
    return f"{statistics.median(a.wall / b.wall for a, b in zip(runs, floor, strict=True)):.2f}"
