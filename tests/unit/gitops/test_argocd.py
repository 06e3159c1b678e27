"""The Argo CD scripts, run by the Lua version that Argo CD embeds, against our models' statuses."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa import lua51

from dbmigrate.api.databasemigration import DatabaseMigrationStatus
from dbmigrate.api.names import Phase, Reason
from dbmigrate.api.status.condition import Condition
from dbmigrate.controller.decide.conditions import Standing, conditions_of, in_progress, stalled

CONFIG = Path(__file__).parents[3] / "config" / "argocd" / "argocd-cm.yaml"
DATA = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["data"]
HEALTH = DATA["resource.customizations.health.dbmigrate.dev_DatabaseMigration"]
ACTIONS = yaml.safe_load(DATA["resource.customizations.actions.dbmigrate.dev_DatabaseMigration"])

# Libraries that Argo CD does not open for a health script (its VM without useOpenLibs).
CLOSED = ("io", "debug", "string", "math", "coroutine")
NOW = "2026-01-01T00:00:00Z"


def run(script: str, resource: dict[str, Any], closed: tuple[str, ...] = CLOSED) -> Any:
    """What the script returns for the resource."""
    lua = lua51.LuaRuntime(unpack_returned_tuples=True)
    for library in closed:
        lua.globals()[library] = None
    lua.globals().obj = lua.table_from(resource, recursive=True)
    return lua.execute(script)


def resource(status: DatabaseMigrationStatus | None, generation: int = 2) -> dict[str, Any]:
    """A resource as the API server gives it."""
    data = {"metadata": {"generation": generation}, "spec": {"suspend": False}}
    if status is not None:
        data["status"] = status.model_dump(by_alias=True, exclude_none=True, mode="json")
    return data


def status(phase: str, *, generation: int = 2, **conditions: str) -> DatabaseMigrationStatus:
    """A status of that phase with those conditions."""
    return DatabaseMigrationStatus(
        observed_generation=generation,
        phase=phase,
        message="a sentence",
        conditions=tuple(
            Condition(
                type=kind,
                status=value,
                reason="Because",
                message="why",
                last_transition_time=NOW,
                observed_generation=generation,
            )
            for kind, value in conditions.items()
        ),
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "Progressing"),
        (DatabaseMigrationStatus(), "Progressing"),
        (status("Pending", Ready="False", Reconciling="True"), "Progressing"),
        (status("Migrating", Ready="False", Reconciling="True"), "Progressing"),
        (status("Succeeded", Ready="True", Reconciling="False", Stalled="False"), "Healthy"),
        (status("Succeeded", Ready="True"), "Healthy"),
        (status("Failed", Ready="False", Stalled="True"), "Degraded"),
        (status("Blocked", Ready="False", Stalled="True"), "Degraded"),
        (status("Suspended", Ready="False"), "Suspended"),
        (status("Suspended", Ready="Unknown", Reconciling="False"), "Suspended"),
        (status("Succeeded", Ready="True", Reconciling="True"), "Progressing"),
        (status("Pending", Ready="False"), "Progressing"),
        (status("Succeeded"), "Progressing"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "phase", None) or "none",
)
def test_health_follows_the_conditions(
    given: DatabaseMigrationStatus | None, expected: str
) -> None:
    """Healthy only when Ready is True and nothing says otherwise."""
    assert run(HEALTH, resource(given))["status"] == expected


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (Standing(Phase.SUCCEEDED, Reason.UP_TO_DATE, "done", ready=True), "Healthy"),
        (in_progress(Phase.ROLLING_BACK, Reason.RUNNING, "running"), "Progressing"),
        (in_progress(Phase.PENDING, Reason.UNREACHABLE, "again later"), "Progressing"),
        (stalled(Phase.FAILED, Reason.MIGRATION_FAILED, "broken"), "Degraded"),
        (stalled(Phase.BLOCKED, Reason.DATABASE_AHEAD, "ahead"), "Degraded"),
        (Standing(Phase.SUSPENDED, Reason.SUSPENDED, "suspended"), "Suspended"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.phase.value,
)
def test_health_of_what_the_operator_writes(standing: Standing, expected: str) -> None:
    """The operator's own conditions, its message with them."""
    written = DatabaseMigrationStatus(
        observed_generation=2, phase=standing.phase.value, message=standing.message
    )
    told = conditions_of(
        standing, written, generation=2, now=datetime(2026, 1, 1, tzinfo=UTC), has_checks=True
    )
    health = run(HEALTH, resource(written.model_copy(update={"conditions": told})))
    assert (health["status"], health["message"]) == (expected, standing.message)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Suspended"])
def test_a_status_of_an_older_generation_says_nothing(phase: str) -> None:
    """What was true of the former spec is not taken for the present one."""
    old = status(phase, generation=1, Ready="True", Stalled="False")
    assert run(HEALTH, resource(old, generation=2))["status"] == "Progressing"


def test_a_failure_is_told_with_its_message() -> None:
    """Argo CD shows why without a look at the resource."""
    health = run(HEALTH, resource(status("Failed", Ready="False", Stalled="True")))
    assert health["message"] == "why"


@pytest.mark.parametrize(
    ("name", "annotation"), [("retry", "dbmigrate.dev/retry"), ("check", "dbmigrate.dev/check")]
)
def test_an_action_sets_its_annotation_to_a_new_value(name: str, annotation: str) -> None:
    """The menu does what `kubectl annotate` does; other annotations stay."""
    given = resource(None)
    given["metadata"]["annotations"] = {"kept": "yes"}
    done = run(action(name), given, closed=("io", "debug"))
    assert done["metadata"]["annotations"][annotation].endswith("Z")
    assert done["metadata"]["annotations"]["kept"] == "yes"


def test_an_action_copes_with_a_resource_without_annotations() -> None:
    """Most resources have none."""
    done = run(action("retry"), resource(None), closed=("io", "debug"))
    assert done["metadata"]["annotations"]["dbmigrate.dev/retry"]


@pytest.mark.parametrize(("name", "expected"), [("suspend", True), ("resume", False)])
def test_suspend_and_resume_set_the_field(name: str, expected: bool) -> None:  # noqa: FBT001
    """They change nothing but spec.suspend."""
    given = resource(None)
    given["spec"]["suspend"] = not expected
    assert run(action(name), given, closed=("io", "debug"))["spec"]["suspend"] is expected


@pytest.mark.parametrize("suspended", [True, False])
def test_only_what_makes_sense_is_offered(suspended: bool) -> None:  # noqa: FBT001
    """A suspended resource can be resumed; one that runs can be suspended, retried, checked."""
    given = resource(None)
    given["spec"]["suspend"] = suspended
    offered = run(ACTIONS["discovery.lua"], given)
    enabled = {name for name in offered if not offered[name]["disabled"]}
    assert enabled == ({"resume"} if suspended else {"retry", "check", "suspend"})


def test_every_action_that_is_offered_is_defined() -> None:
    """An entry of the menu without a script would be an error on a click."""
    offered = set(run(ACTIONS["discovery.lua"], resource(None)))
    assert offered == {each["name"] for each in ACTIONS["definitions"]}


def action(name: str) -> str:
    """The script of that action."""
    (script,) = (each["action.lua"] for each in ACTIONS["definitions"] if each["name"] == name)
    return str(script)
