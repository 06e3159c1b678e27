"""`make chaos`, and `python -m tests.chaos --seed N --trials 1` to see one trial again."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from random import SystemRandom

from tests.chaos.campaign import Summary, one_after_another, side_by_side
from tests.chaos.trial import Trial

_TELL_EVERY = 50


def main() -> int:
    """Run a campaign; 1 when something is wrong."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and end the workers
    seeds = range(options.seed, options.seed + options.trials)
    print(f"{options.trials} trials from seed {options.seed}", flush=True)
    trials = (
        side_by_side(seeds, options.jobs, options.keep)
        if options.jobs > 1
        else one_after_another(seeds, options.keep)
    )
    summary = Summary()
    for trial in trials:
        summary.add(trial)
        if trial.violations or options.verbose:
            _show(trial)
        if len(summary.seeds) % _TELL_EVERY == 0:
            print(f"{len(summary.seeds)} trials, {len(summary.wrong)} wrong", flush=True)
        if options.first and summary.wrong:
            break
    if options.summary is not None:
        options.summary.parent.mkdir(parents=True, exist_ok=True)
        options.summary.write_text(json.dumps(summary.as_json(), indent=1) + "\n")
    print(*summary.lines(), sep="\n")
    return 1 if summary.wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**9))
    parser.add_argument("--jobs", type=int, default=3, help="processes at once")
    parser.add_argument("--keep", type=Path, help="folder for what a wrong trial wrote")
    parser.add_argument("--summary", type=Path, help="file for the figures, as JSON")
    parser.add_argument("--first", action="store_true", help="stop at the first wrong trial")
    parser.add_argument("--verbose", action="store_true", help="tell each trial")
    return parser.parse_args()


def _show(trial: Trial) -> None:
    print(f"seed {trial.seed}, PostgreSQL {trial.major}, {trial.seconds:.2f} s")
    for attempt in trial.attempts:
        faults = "; ".join(attempt.faults) or "no fault"
        struck = f"{attempt.struck} struck, " if attempt.faults else ""
        together = " --transaction all" if attempt.is_one_transaction else ""
        print(f"  {' '.join(attempt.command)}{together}: {faults} ({struck}{attempt.seconds:.2f} s)"
              f" -> {attempt.ended}")  # fmt: skip
    for violation in trial.violations:
        print(f"  {violation.kind.value.upper()}: {violation.text}")
    if trial.violations:
        print(f"  again: python -m tests.chaos --seed {trial.seed} --trials 1 --jobs 1", flush=True)


if __name__ == "__main__":
    sys.exit(main())
