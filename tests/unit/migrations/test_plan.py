"""A plan follows from source, history and target alone; what cannot be kept is not planned."""

import dataclasses

import pytest
from tests.unit.migrations.histories import applied, file, source_of, versions_of

from dbmigrate.api.report.plan import Direction
from dbmigrate.errors import RefusedError, UsageError
from dbmigrate.migrations.applied import newest, pending
from dbmigrate.migrations.content import HeldContent
from dbmigrate.migrations.plan import ZERO, plan_forward, plan_rollback, plan_to
from dbmigrate.migrations.version import Version


def test_everything_pending_runs_in_order():
    """Oldest first, by SemVer."""
    plan = plan_forward(source_of("1.10.0", "1.9.0", "1.0.0"), applied("1.0.0"))
    assert plan.direction is Direction.FORWARD
    assert versions_of(plan) == ["1.9.0", "1.10.0"]
    assert (str(plan.from_version), str(plan.to_version)) == ("1.0.0", "1.10.0")


def test_a_target_ends_the_plan():
    """What is newer stays pending."""
    plan = plan_forward(source_of("1.0.0", "1.1.0", "1.2.0"), [], Version(1, 1, 0))
    assert versions_of(plan) == ["1.0.0", "1.1.0"]


def test_nothing_pending_is_an_empty_plan():
    """From and to are the current version then."""
    plan = plan_forward(source_of("1.0.0"), applied("1.0.0"))
    assert plan.steps == ()
    assert plan.from_version == plan.to_version == Version(1, 0, 0)


def test_an_empty_source_and_database_make_an_empty_plan():
    """Before anything."""
    plan = plan_forward(source_of(), [])
    assert (plan.from_version, plan.to_version, plan.steps) == (None, None, ())


def test_an_unknown_target_is_refused():
    """A misspelt version must not stand for the newest."""
    with pytest.raises(UsageError) as caught:
        plan_forward(source_of("1.0.0"), [], Version(1, 5, 0))
    assert caught.value.error_code == "UnknownVersion"
    assert "1.0.0" in caught.value.message


def test_an_edited_applied_file_stops_everything():
    """Its name and both sums are told."""
    source = source_of("1.0.0", "1.1.0", text="select 2;")
    with pytest.raises(RefusedError) as caught:
        plan_forward(source, applied("1.0.0"))
    error = caught.value
    assert error.error_code == "ChecksumMismatch"
    assert "v1.0.0_name.sql" in error.message
    assert file("1.0.0", "select 1;").checksum in error.message
    assert file("1.0.0", "select 2;").checksum in error.message


def test_every_edited_file_is_named():
    """Mending one must not reveal the next."""
    with pytest.raises(RefusedError) as caught:
        plan_forward(source_of("1.0.0", "1.1.0", text="x"), applied("1.0.0", "1.1.0"))
    assert "v1.0.0_name.sql" in caught.value.message
    assert "v1.1.0_name.sql" in caught.value.message


@pytest.mark.parametrize("text", [b"select 1;\r\n", b"\xef\xbb\xbfselect 1;\n"])
def test_line_ends_and_byte_order_mark_are_no_edit(text):
    """A checkout under Windows runs on."""
    plan = plan_forward(source_of("1.0.0", text=text), applied("1.0.0", text="select 1;\n"))
    assert plan.steps == ()


def test_an_edited_file_stops_a_rollback_too():
    """Its rollback may belong to the edited text."""
    source = source_of("1.0.0", rollbacks=["1.0.0"], text="select 2;")
    with pytest.raises(RefusedError) as caught:
        plan_rollback(source, applied("1.0.0"), ZERO)
    assert caught.value.error_code == "ChecksumMismatch"


def test_a_late_file_is_refused():
    """1.1.0 was added after 1.2.0 had been applied: it was never run in this order anywhere."""
    with pytest.raises(RefusedError) as caught:
        plan_forward(source_of("1.0.0", "1.1.0", "1.2.0"), applied("1.0.0", "1.2.0"))
    assert caught.value.error_code == "OutOfOrder"
    assert "v1.1.0_name.sql" in caught.value.message


def test_a_database_ahead_of_the_source_is_refused():
    """An older release was deployed: that is no success."""
    with pytest.raises(RefusedError) as caught:
        plan_forward(source_of("1.0.0"), applied("1.0.0", "1.1.0"))
    assert caught.value.error_code == "DatabaseAhead"
    assert "1.1.0" in caught.value.message


def test_an_applied_file_that_is_missing_in_the_middle_is_refused():
    """Somebody removed it from the repository."""
    with pytest.raises(RefusedError) as caught:
        plan_forward(source_of("1.0.0", "1.2.0"), applied("1.0.0", "1.1.0"))
    assert caught.value.error_code == "MissingMigration"
    assert "v1.1.0_name.sql" in caught.value.message


def test_rollbacks_run_newest_first():
    """The way back is the way forward, reversed."""
    versions = ["1.0.0", "1.9.0", "1.10.0"]
    source = source_of(*versions, rollbacks=versions)
    plan = plan_rollback(source, applied(*versions), Version(1, 0, 0))
    assert plan.direction is Direction.ROLLBACK
    assert versions_of(plan) == ["1.10.0", "1.9.0"]
    assert (str(plan.from_version), str(plan.to_version)) == ("1.10.0", "1.0.0")


def test_down_zero_rolls_back_everything():
    """And leaves no version."""
    source = source_of("1.0.0", "1.1.0", rollbacks=["1.0.0", "1.1.0"])
    plan = plan_rollback(source, applied("1.0.0", "1.1.0"), ZERO)
    assert versions_of(plan) == ["1.1.0", "1.0.0"]
    assert plan.to_version is None


def test_a_version_that_is_not_applied_cannot_be_gone_back_to():
    """`down 1.0.5` would else mean whatever is below it."""
    source = source_of("1.0.0", "1.1.0", rollbacks=["1.1.0"])
    with pytest.raises(UsageError) as caught:
        plan_rollback(source, applied("1.0.0", "1.1.0"), Version(1, 0, 5))
    assert caught.value.error_code == "UnknownVersion"


def test_missing_rollbacks_are_all_named_before_anything_runs():
    """A way back that ends in the middle is not begun."""
    versions = ["1.0.0", "1.1.0", "1.2.0"]
    source = source_of(*versions, rollbacks=["1.2.0"])
    with pytest.raises(RefusedError) as caught:
        plan_rollback(source, applied(*versions), ZERO)
    assert caught.value.error_code == "RollbackMissing"
    assert "1.1.0, 1.0.0" in caught.value.message


def test_the_database_keeps_the_rollback_that_the_source_lacks():
    """An older release that no longer ships the file can still roll back."""
    kept = file("1.1.0", "kept;", rollback=True)
    history = applied("1.0.0") + applied("1.1.0", rollback=kept)
    plan = plan_rollback(source_of("1.0.0"), history, Version(1, 0, 0))
    assert plan.steps == (kept,)


def test_the_sources_rollback_rules_over_the_kept_one():
    """It may have been mended since."""
    kept = file("1.0.0", "kept;", rollback=True)
    source = source_of("1.0.0", rollbacks=["1.0.0"])
    plan = plan_rollback(source, applied("1.0.0", rollback=kept), ZERO)
    assert plan.steps == (source.rollbacks[Version(1, 0, 0)],)


@pytest.mark.parametrize(
    ("target", "direction", "steps"),
    [
        ("1.0.0", Direction.ROLLBACK, ["1.1.0"]),
        ("1.1.0", Direction.FORWARD, []),
        ("1.2.0", Direction.FORWARD, ["1.2.0"]),
    ],
)
def test_to_goes_whichever_way_leads_there(target, direction, steps):
    """Below the current version is back, above is forward, at it is nothing."""
    source = source_of("1.0.0", "1.1.0", "1.2.0", rollbacks=["1.1.0"])
    plan = plan_to(source, applied("1.0.0", "1.1.0"), Version.parse(target))
    assert (plan.direction, versions_of(plan)) == (direction, steps)


def test_the_current_version_is_the_highest_not_the_last():
    """Rows may come in any order."""
    assert newest(applied("1.10.0", "1.9.0")) == Version(1, 10, 0)
    assert newest([]) is None


def test_pending_is_what_is_not_applied():
    """Up to the target."""
    source = source_of("1.0.0", "1.1.0", "1.2.0")
    found = pending(source, applied("1.0.0"), Version(1, 1, 0))
    assert [str(each.version) for each in found] == ["1.1.0"]


def test_the_hash_of_a_plan_is_what_it_was():
    """An approval given to one release of this program holds for the next: a fixed example."""
    plan = plan_forward(source_of("1.0.0", "1.1.0"), applied("1.0.0"))
    assert plan.hash == "6059b54f2ac81e93d29e0d212f0cf185def4d4c2ed86c666f052d524ad3201a3"


def test_the_hash_does_not_depend_on_names_or_folders():
    """What is approved is what runs: bytes and order."""
    plan = plan_forward(source_of("1.0.0"), [])
    renamed = dataclasses.replace(
        plan, steps=(dataclasses.replace(plan.steps[0], file="v1.0.0_other.sql", name="other"),)
    )
    assert renamed.hash == plan.hash


def test_the_hash_changes_with_all_that_matters():
    """Direction, from, to, a step's version, a step's bytes, the number and order of steps."""
    one = plan_forward(source_of("1.0.0", "1.1.0"), [])
    step, other = one.steps
    variants = [
        one,
        dataclasses.replace(one, direction=Direction.ROLLBACK),
        dataclasses.replace(one, from_version=Version(0, 1, 0)),
        dataclasses.replace(one, to_version=Version(9, 0, 0)),
        dataclasses.replace(one, steps=(step,)),
        dataclasses.replace(one, steps=(other, step)),
        dataclasses.replace(
            one, steps=(dataclasses.replace(step, content=HeldContent(b"x")), other)
        ),
        dataclasses.replace(
            one, steps=(dataclasses.replace(step, version=Version(1, 0, 1)), other)
        ),
    ]
    assert len({plan.hash for plan in variants}) == len(variants)


def test_the_report_tells_the_plan():
    """Versions as texts, each file with its checksum."""
    plan = plan_forward(source_of("1.0.0"), [])
    report = plan.report
    assert (report.from_version, report.to_version, report.hash) == (None, "1.0.0", plan.hash)
    assert report.steps[0].checksum == plan.steps[0].checksum
