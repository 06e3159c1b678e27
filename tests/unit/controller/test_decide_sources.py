from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.controller.situations import (
    FILES,
    SUM_1,
    SUM_2,
    apply,
    config_map,
    digest,
    later,
    observed,
    settled,
    spec,
    standing,
)

from dbmigrate.controller.decide import decide
from dbmigrate.controller.views import missing_config_map

TWO_PARTS = {"configMaps": [{"name": "exams-sql"}, {"name": "exams-rollbacks"}]}


@pytest.mark.parametrize(
    ("changes", "expected", "words"),
    [
        (
            {"config_maps": (missing_config_map("exams-sql"),)},
            ("Pending", "InProgress", "WaitingForSource"),
            "exams-sql",
        ),
        (
            {
                "spec": spec(source=TWO_PARTS),
                "config_maps": (config_map(), config_map(name="exams-rollbacks")),
            },
            ("Blocked", "Failed", "InvalidSource"),
            "v1.0.0_initial.sql is there twice: in ConfigMap exams-sql and in ConfigMap exams-r",
        ),
        (
            {"config_maps": (replace(config_map(), files=()),)},
            ("Blocked", "Failed", "InvalidSource"),
            "no file",
        ),
        (
            {
                "spec": spec(source={"inline": {f"v1.0.{n}_x.sql": "x" * 65536 for n in range(4)}}),
                "config_maps": (),
            },
            ("Blocked", "Failed", "SourceTooLarge"),
            "192 KiB",
        ),
        (
            {"spec": None, "spec_error": "spec.environment: missing"},
            ("Blocked", "Failed", "InvalidSpec"),
            "spec.environment: missing",
        ),
    ],
    ids=["missing", "twice", "empty", "large", "invalid"],
)
def test_source_that_cannot_run_is_told(changes, expected, words):
    """A missing ConfigMap is waited for; what a person must mend is said, and nothing runs."""
    decision = decide(observed(**changes))
    assert standing(decision.status) == expected
    assert words in (decision.status.message or "")
    assert decision.create is None


def test_settled_resource_whose_source_goes_away_is_no_longer_ready():
    """Nobody can say that the database has what the source says, when there is no source."""
    decision = decide(replace(settled(), config_maps=(missing_config_map("exams-sql"),)))
    assert standing(decision.status) == ("Pending", "InProgress", "WaitingForSource")
    assert decision.status.current_version == "1.1.0"


def test_running_job_goes_on_when_its_source_goes_away():
    """The runner has read its files; only a known other source is a reason to stop it."""
    first = observed()
    running = apply(first, decide(first))
    decision = decide(replace(running, config_maps=(missing_config_map("exams-sql"),)))
    assert decision.stop == ()
    assert decision.create is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (missing_config_map("exams-sql"), ("Pending", "InProgress", "WaitingForSource")),
        (replace(config_map(), files=()), ("Blocked", "Failed", "InvalidSource")),
    ],
    ids=["missing", "empty"],
)
def test_source_that_goes_away_during_a_verification_is_told_at_once(source, expected):
    """The Job that asks the database runs on; Ready does not wait for its end to be taken back."""
    due = later(settled(), minutes=61)
    verifying = apply(due, decide(due))
    assert standing(verifying.status) == ("Succeeded", "Current", "UpToDate")
    decision = decide(replace(verifying, config_maps=(source,)))
    assert standing(decision.status) == expected
    assert (decision.create, decision.stop, decision.delete_jobs) == (None, (), ())
    assert decision.status.active_run == verifying.status.active_run


def test_digest_does_not_depend_on_the_order_of_parts():
    """The same files in other parts are the same source."""
    one = observed(
        spec=spec(source=TWO_PARTS),
        config_maps=(config_map(FILES[0]), config_map(FILES[1], name="exams-rollbacks")),
    )
    other = observed(
        spec=spec(source=TWO_PARTS),
        config_maps=(config_map(FILES[1]), config_map(FILES[0], name="exams-rollbacks")),
    )
    assert digest(one) == digest(other) == digest(observed())


def test_folder_is_part_of_the_digest():
    """A file that moves into rollbacks/ is another source to the runner."""
    source = {"configMaps": [{"name": "exams-sql"}, {"name": "r", "path": "rollbacks"}]}
    rollback = ("v1.1.0_rollback.sql", SUM_2)
    nested = observed(
        spec=spec(source=source), config_maps=(config_map(), config_map(rollback, name="r"))
    )
    source = {"configMaps": [{"name": "exams-sql"}, {"name": "r"}]}
    flat = replace(nested, spec=spec(source=source))
    assert digest(nested) != digest(flat)


def test_latest_target_is_shown_as_a_version():
    """The TARGET column says which version that is; a rollback is none."""
    files = (*FILES, ("v9.9.9_rollback.sql", SUM_1), ("notes.sql", SUM_1))
    assert decide(observed(config_maps=(config_map(*files),))).status.target_version == "1.1.0"
