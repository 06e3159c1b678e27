"""Which rows a baseline or a repair records, and when it may not."""

import pytest
from tests.unit.migrations.histories import applied, file, source_of

from dbmigrate.errors import RefusedError, UsageError
from dbmigrate.migrations.amend import (
    Amend,
    Baseline,
    plan_baseline,
    plan_repair,
    require_choice,
    require_reason,
)
from dbmigrate.migrations.applied import BASELINE
from dbmigrate.migrations.version import Version

V1, V2 = Version(1, 0, 0), Version(1, 1, 0)


def versions(records):
    """Their versions."""
    return [str(each.file.version) for each in records]


def test_a_baseline_is_every_file_up_to_its_version():
    """With its rollback, where there is one."""
    source = source_of("1.0.0", "1.1.0", "1.2.0", rollbacks=["1.1.0"])
    records = plan_baseline(source, [], V2).recorded
    assert versions(records) == ["1.0.0", "1.1.0"]
    assert [each.rollback is not None for each in records] == [False, True]


def test_a_baseline_of_an_unknown_version_is_refused():
    """A misspelt version must not stand for the one below it."""
    with pytest.raises(UsageError) as caught:
        plan_baseline(source_of("1.0.0", "1.2.0"), [], V2)
    assert caught.value.error_code == "UnknownVersion"


def test_a_history_that_was_run_gets_no_baseline():
    """It knows what is applied."""
    with pytest.raises(RefusedError) as caught:
        plan_baseline(source_of("1.0.0", "1.1.0"), applied("1.0.0"), V2)
    assert caught.value.error_code == "HistoryNotEmpty"
    assert "1.0.0" in caught.value.message


def test_the_same_baseline_again_is_nothing_also_after_later_migrations():
    """So that a script may say it each time."""
    source = source_of("1.0.0", "1.1.0", "1.2.0")
    history = applied("1.0.0", "1.1.0", origin=BASELINE)
    assert plan_baseline(source, history, V2) == Baseline()
    assert plan_baseline(source, history + applied("1.2.0"), V2) == Baseline()


@pytest.mark.parametrize("version", ["1.0.0", "1.2.0"])
def test_another_baseline_is_refused(version):
    """It is recorded once, unless it was wrong."""
    source = source_of("1.0.0", "1.1.0", "1.2.0")
    history = applied("1.0.0", "1.1.0", origin=BASELINE)
    with pytest.raises(RefusedError) as caught:
        plan_baseline(source, history, Version.parse(version))
    assert caught.value.error_code == "HistoryNotEmpty"
    assert "1.1.0" in caught.value.message
    assert "--correct" in caught.value.hint


def test_a_wrong_baseline_is_corrected_up_and_down():
    """What it said too much is pending again, what it said too little is recorded."""
    source = source_of("1.0.0", "1.1.0", "1.2.0", "1.3.0")
    history = applied("1.0.0", "1.1.0", "1.2.0", origin=BASELINE)
    lower = plan_baseline(source, history, V1, correct=True)
    assert lower.recorded == ()
    assert [str(each.version) for each in lower.withdrawn] == ["1.2.0", "1.1.0"]
    higher = plan_baseline(source, history, Version(1, 3, 0), correct=True)
    assert (versions(higher.recorded), higher.withdrawn) == (["1.3.0"], ())


def test_a_baseline_upon_which_something_ran_is_not_corrected():
    """What ran was run on what it said."""
    history = applied("1.0.0", "1.1.0", origin=BASELINE) + applied("1.2.0")
    with pytest.raises(RefusedError) as caught:
        plan_baseline(source_of("1.0.0", "1.1.0", "1.2.0"), history, V1, correct=True)
    assert "1.2.0 applied since" in caught.value.message
    assert "--correct" not in caught.value.hint


def test_the_same_baseline_of_other_files_is_refused():
    """What was recorded is not what is there now."""
    history = applied("1.0.0", text="select 2;", origin=BASELINE)
    with pytest.raises(RefusedError) as caught:
        plan_baseline(source_of("1.0.0"), history, V1)
    assert caught.value.error_code == "ChecksumMismatch"


def test_a_repair_is_of_the_edited_files():
    """The others are as recorded."""
    source = source_of("1.0.0", "1.1.0")
    history = applied("1.0.0") + applied("1.1.0", text="select 2;")
    (found,) = plan_repair(source, history, Amend(everything=True))
    assert (found.file.version, found.replaces) == (V2, history[1])


def test_line_ends_are_nothing_to_repair():
    """A checkout under Windows."""
    source = source_of("1.0.0", text="select 1;\r\n")
    assert plan_repair(source, applied("1.0.0", text="select 1;\n"), Amend(everything=True)) == ()


def test_a_repair_of_named_versions_leaves_the_others():
    """Each edit is agreed on by itself."""
    source = source_of("1.0.0", "1.1.0")
    history = applied("1.0.0", "1.1.0", text="select 2;")
    assert versions(plan_repair(source, history, Amend(versions=(V2,)))) == ["1.1.0"]


def test_another_rollback_than_the_kept_one_is_an_edit():
    """Of which the database is to keep the new text; and one that it does not keep yet."""
    source = source_of("1.0.0", rollbacks=["1.0.0"])
    for kept in ("0" * 64, None):
        history = applied("1.0.0", rollback_checksum=kept)
        assert versions(plan_repair(source, history, Amend())) == ["1.0.0"]
    same = source.rollbacks[V1].checksum
    assert plan_repair(source, applied("1.0.0", rollback_checksum=same), Amend()) == ()


def test_a_rollback_that_the_source_has_not_is_no_edit():
    """The kept one stays."""
    history = applied("1.0.0", rollback_checksum="0" * 64)
    assert plan_repair(source_of("1.0.0"), history, Amend()) == ()


@pytest.mark.parametrize(("version", "word"), [("1.1.0", "applied"), ("1.2.0", "in the source")])
def test_a_version_that_cannot_be_repaired_is_told(version, word):
    """Not applied, or without a file."""
    source = source_of("1.0.0", "1.1.0")
    history = applied("1.0.0", "1.2.0")
    with pytest.raises(UsageError) as caught:
        plan_repair(source, history, Amend(versions=(Version.parse(version),)))
    assert f"{version} is not {word}" in caught.value.message


def test_nothing_is_repaired_that_nobody_named():
    """Both sums are shown, and the two ways to say so."""
    history = applied("1.0.0", text="select 2;")
    found = plan_repair(source_of("1.0.0"), history, Amend())
    with pytest.raises(UsageError) as caught:
        require_choice(found, Amend())
    assert caught.value.error_code == "RepairNotChosen"
    assert file("1.0.0", "select 1;").checksum in caught.value.message
    assert file("1.0.0", "select 2;").checksum in caught.value.message
    for amend in (Amend(everything=True), Amend(versions=(V1,)), Amend(dry_run=True)):
        require_choice(found, amend)


def test_a_repair_needs_a_reason():
    """Blanks are none; a dry run records nothing, and needs none."""
    for reason in ("", "  \n"):
        with pytest.raises(UsageError) as caught:
            require_reason(Amend(reason=reason))
        assert caught.value.error_code == "NoReason"
    require_reason(Amend(reason="agreed"))
    require_reason(Amend(dry_run=True))
