"""Measures all of it, and tells it as the page's text."""

from __future__ import annotations

import argparse
import statistics
from datetime import UTC, datetime

from tests.bench.operator.bench import Bench
from tests.bench.operator.costs import settled, writes_of_a_life
from tests.bench.operator.stages import stages
from tests.bench.operator.times import (
    apply_to_ready,
    empty_jobs,
    many_at_once,
    one_more,
    psql_alone,
)


def _row(name: str, seconds: list[float], aim: str, peer: str) -> str:
    return (
        f"| {name} | {statistics.median(seconds):.2f} s | {max(seconds):.2f} s | {aim} | {peer} |"
    )


def measure(bench: Bench, options: argparse.Namespace) -> str:
    """The text between the markers."""
    apply_to_ready(bench, 1, 1)  # the first pod pays for what is cold
    few = max(options.rounds // 4, 1)
    rows = [
        _row("1 file", apply_to_ready(bench, 1, options.rounds), "1.5 s", "0.31 s"),
        _row("50 files", apply_to_ready(bench, 50, few), "", "1.00 s"),
        _row("300 files", apply_to_ready(bench, 300, few), "2.5 s", "5.33 s"),
        _row("one more on 300", one_more(bench, 300, options.rounds), "1.5 s", "0.75 s"),
    ]
    print("\n".join(rows), flush=True)
    seconds, cpu = many_at_once(bench, 50, 5)
    rows.append(f"| 50 resources of 5 files at once | {seconds:.2f} s | | 15 s | 6.15 s |")
    empty_seconds, empty_cpu = empty_jobs(bench, 50)
    psql = psql_alone(bench, 300)
    life = writes_of_a_life(bench)
    costs = settled(bench, options.resources, options.idle)
    floor = (
        f"50 resources at once took {cpu:.1f} CPU seconds of the machine (Atlas: 10.9). The floor "
        f"in the same run: 50 Jobs that run `true` took {empty_seconds:.2f} s and {empty_cpu:.1f} "
        f"CPU seconds; psql alone took {psql:.2f} s for 300 such files on the same server."
    )
    when = datetime.now(UTC).date().isoformat()
    counted = ", ".join(f"{n} {write}" for write, n in life.items())
    settled_ones = f"{options.resources} resources"
    lines = [
        f"Measured on {when}, {options.rounds} rounds ({few} for 50 and 300 files).",
        "",
        "| `kubectl apply` to Ready | median | worst | aim | Atlas operator |",
        "|---|---|---|---|---|",
        *rows,
        "",
        floor,
        "",
        "| cost | measured | aim |",
        "|---|---|---|",
        f"| writes for one life ({counted}) | {sum(life.values())} | 6 |",
        f"| writes in {options.idle:.0f} idle s, {settled_ones} | {costs['idle writes']} | 0 |",
        f"| writes at a restart, {settled_ones} | {costs['restart writes']} | 0 |",
        *(
            f"| {name} | {value:.0f} MB | 120 MB |"
            for name, value in costs.items()
            if "memory" in name
        ),
        "",
        "Where the time of one file goes, in seconds after the resource was created:",
        "",
        "| at | what |",
        "|---|---|",
        *(f"| {at:.3f} | {what} |" for what, at in stages(bench)),
    ]
    return "\n".join(lines)
