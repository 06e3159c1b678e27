"""Random faults and the instants at which they strike. Pure: all comes from the generator."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from tests.chaos.relay import Cut, Way


class Action(StrEnum):
    """What goes wrong."""

    KILL = "kill"
    """SIGKILL for the runner."""
    SIGTERM = "sigterm"
    SIGINT = "sigint"
    PAUSE = "pause"
    """SIGSTOP for the runner, SIGCONT after some time: a machine that was suspended."""
    TERMINATE = "terminate"
    """pg_terminate_backend for the runner's sessions."""
    CANCEL = "cancel"
    """pg_cancel_backend for them."""
    KILL_BACKEND = "kill-backend"
    """SIGKILL for the server process that works for the runner: the server recovers itself."""
    CRASH = "crash"
    """An immediate shutdown of the server, which is started again after some time."""
    SHUTDOWN = "shutdown"
    """A fast shutdown of the server, which is started again after some time."""
    CUT = "cut"
    """The connection breaks."""
    REFUSE = "refuse"
    """The connection breaks, and for some time no new one is to be had."""
    RACE = "race"
    """Other runners start at the same time."""
    THIEF = "thief"
    """Somebody takes the advisory lock whenever it is free, for a moment."""
    BLOCKER = "blocker"
    """Somebody holds a table that the files need, for some time."""
    READER = "reader"
    """Somebody has an old snapshot: CREATE INDEX CONCURRENTLY waits for it, half done."""
    CLOCK = "clock"
    """The runner's clock is an hour or a day off."""
    EDIT = "edit"
    """Files of the source are changed, added or taken away."""


@dataclass(frozen=True, slots=True)
class Instant:
    """When a fault strikes: by the clock, by bytes, or at a COMMIT."""

    seconds: float = 0.0
    """After the runner's start; when nothing else is given."""
    way: Way | None = None
    at_byte: int = 0
    commit: int = 0
    """The how manieth COMMIT of the runner's; `behind` it or before it."""
    behind: bool = False

    def __str__(self) -> str:
        if self.commit:
            return f"{'behind' if self.behind else 'before'} {self.way} of COMMIT {self.commit}"
        return f"at {self.way} byte {self.at_byte}" if self.way else f"at {self.seconds:.3f} s"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong in one run."""

    action: Action
    instant: Instant
    how: Cut = Cut.BOTH
    seconds: float = 0.1
    """How long it lasts, where it lasts."""
    count: int = 1
    """Of runners that race, of files that are edited."""

    def __str__(self) -> str:
        name = f"{self.action}:{self.how}" if self.action is Action.CUT else str(self.action)
        return f"{name} {self.instant}"


_WEIGHTS: Final = {
    Action.KILL: 8,
    Action.SIGTERM: 5,
    Action.SIGINT: 2,
    Action.PAUSE: 3,
    Action.TERMINATE: 6,
    Action.CANCEL: 3,
    Action.KILL_BACKEND: 6,
    Action.CRASH: 6,
    Action.SHUTDOWN: 2,
    Action.CUT: 15,
    Action.REFUSE: 3,
    Action.RACE: 5,
    Action.THIEF: 3,
    Action.BLOCKER: 1,
    Action.READER: 8,
    Action.CLOCK: 2,
    Action.EDIT: 4,
}
_AT_COMMIT: Final = {Action.CUT: 0.75, Action.REFUSE: 0.75, Action.CRASH: 0.6}
"""The share of each that strikes at a COMMIT, where the most is at stake; of others a smaller."""
_BY_TIME_ALONE: Final = {Action.RACE, Action.THIEF, Action.BLOCKER, Action.READER, Action.CLOCK}


_DEADLY: Final = (
    Action.KILL, Action.SIGTERM, Action.TERMINATE, Action.KILL_BACKEND, Action.CRASH, Action.CUT,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scale:
    """How much a run without faults is, for instants to fall within it."""

    seconds: float
    requests: int
    """Bytes."""
    answers: int
    commits: int


def draw_faults(
    random: Random, scale: Scale, without: frozenset[Action] = frozenset()
) -> tuple[Fault, ...]:
    """None to three faults of one run, but for those that the machine cannot do."""
    number = random.choice((0, 1, 1, 1, 1, 2, 2, 3))
    drawn = [_draw(random, scale) for _ in range(number)]
    for reader in [fault for fault in drawn if fault.action is Action.READER]:
        # Something strikes what waits for it.
        end = reader.instant.seconds + reader.seconds
        instant = Instant(seconds=random.uniform(reader.instant.seconds, end))
        drawn.append(Fault(random.choice(_DEADLY), instant, random.choice(list(Cut)), 0.1))
    return tuple(fault for fault in drawn if fault.action not in without)


def _draw(random: Random, scale: Scale) -> Fault:
    action = random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    instant = (
        Instant(seconds=random.uniform(0, scale.seconds * 1.1))
        if action in _BY_TIME_ALONE
        else _instant(random, scale, at_commit=_AT_COMMIT.get(action, 0.4))
    )
    how = random.choice((*Cut, Cut.LATE, Cut.LATE))
    if action is Action.CUT and instant.commit and random.random() < 0.25:
        # COMMIT itself comes late: perhaps when somebody looks already whether it has come.
        instant, how = Instant(way=Way.REQUEST, commit=instant.commit), Cut.LATE
    longest = 0.4 if random.random() < 0.9 else 1.5
    return Fault(
        action,
        instant,
        how=how,
        seconds=random.uniform(0.02, longest),
        count=random.choice((1, 1, 1, 2, 4)),
    )


def _instant(random: Random, scale: Scale, *, at_commit: float) -> Instant:
    way = random.choice(list(Way))
    if random.random() < at_commit:
        behind = random.random() < 0.5
        return Instant(way=way, commit=random.randint(1, scale.commits), behind=behind)
    if random.random() < 0.5:
        return Instant(seconds=random.uniform(0, scale.seconds * 1.1))
    total = scale.requests if way is Way.REQUEST else scale.answers
    return Instant(way=way, at_byte=random.randint(1, round(total * 1.1)))
