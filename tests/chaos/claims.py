"""Whether a runner's word agrees with the database. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set as AbstractSet
from typing import Any, Final

from tests.chaos.faults import Action
from tests.chaos.judging import Kind, Snapshot, Violation
from tests.chaos.runners import Ended
from tests.chaos.sources import FORWARD

_EXIT_CODES: Final = frozenset({0, 1, 2, 3, 4, 5, 130, 143})
_SIGNALLED: Final = {Action.SIGTERM: 143, Action.SIGINT: 130}
_FOR_PEOPLE: Final = frozenset({Action.CANCEL, Action.EDIT})
"""Faults behind which a person is asked; after all others the same run is to be tried again."""


def check_claims(
    ended: Ended,
    snapshot: Snapshot,
    actions: AbstractSet[Action],
    wanted: AbstractSet[str] | None,
    *,
    is_alone: bool,
) -> list[Violation]:
    """What is wrong with what a runner said at its end.

    Args:
        ended: how it ended.
        snapshot: taken behind its end.
        actions: what went wrong meanwhile.
        wanted: the versions that are applied when it succeeded; None when nobody can say.
        is_alone: nobody else changed the database since.
    """
    result = ended.result
    if result is None:
        return _without_result(ended, actions)
    found = []
    if "Traceback" in ended.err or ended.code not in _EXIT_CODES:
        found.append(f"exit code {ended.code}: {ended.err[-500:]}")
    if ended.code != result["exitCode"]:
        found.append(f"exit code {ended.code}, and it said {result['exitCode']}")
    if (result["outcome"] == "Succeeded") is not (ended.code == 0):
        found.append(f"exit code {ended.code} with outcome {result['outcome']}")
    if result["outcome"] == "Interrupted" and ended.code not in {
        _SIGNALLED[each] for each in actions & set(_SIGNALLED)
    }:
        found.append(f"exit code {ended.code} without that signal")
    found += _applied(result, snapshot)
    if ended.code == 0 and wanted is not None and set(snapshot.live) != wanted:
        found.append(f"succeeded, and applied is {sorted(snapshot.live)}, not {sorted(wanted)}")
    if is_alone and result.get("databaseKnown"):
        if result.get("currentVersion") != snapshot.newest:
            found.append(f"version {result.get('currentVersion')}, and it is {snapshot.newest}")
        if result.get("historyTotal", 0) != len(snapshot.live):
            found.append(f"{result.get('historyTotal')} rows, and there are {len(snapshot.live)}")
    found += _failure(result, actions)
    return [Violation(Kind.UNTRUE, text) for text in found]


def _without_result(ended: Ended, actions: AbstractSet[Action]) -> list[Violation]:
    if ended.code == -9 and Action.KILL in actions:
        return []
    if actions & set(_SIGNALLED) and not ended.out:
        return []  # it came before the program could say how it takes a signal
    text = f"exit code {ended.code} without a result: {ended.err[-500:]}"
    return [Violation(Kind.UNTRUE, text)]


def _applied(result: dict[str, Any], snapshot: Snapshot) -> list[str]:
    claimed = Counter(
        (each.get("version") or each["file"], each["type"], each["checksum"])
        for each in result.get("applied", ())
    )
    there = Counter(
        (row.version, row.direction, row.checksum)
        for row in snapshot.history
        if row.status != "failed"
    )
    return [f"said to be applied, and is not: {each}" for each in (claimed - there)]


def _failure(result: dict[str, Any], actions: AbstractSet[Action]) -> list[str]:
    failure = result.get("failure")
    if failure is None or result["outcome"] == "Interrupted":
        return []
    is_taken = failure["code"] == "LockLost" and actions & {Action.THIEF, Action.RACE}
    if failure.get("transient") or is_taken or actions & _FOR_PEOPLE:
        return []
    return [f"a person is asked for {failure['code']}: {failure['message']}"]


def undone(ended: Ended) -> str | None:
    """The version that a run said to be undone, which must hold for ever; None without one."""
    result = ended.result or {}
    failure = result.get("failure", {})
    is_claimed = "undone" in failure.get("message", "") + failure.get("hint", "")
    if result.get("outcome") != "Failed" or failure.get("code") == "CommitInDoubt":
        return None
    return failure.get("version") if is_claimed else None


def check_undone(ended: Ended, snapshot: Snapshot) -> list[Violation]:
    """What is wrong with that, by a snapshot of when all server processes of the run were gone."""
    version = undone(ended)
    direction = (ended.result or {}).get("plan", {}).get("direction", FORWARD)
    if version is None or (version in snapshot.live) is (direction != FORWARD):
        return []
    return [Violation(Kind.UNTRUE, f"{version} is said to be undone, and is not")]
