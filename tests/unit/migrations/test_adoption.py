"""Another tool's migrations matched with files: what is taken, and what is refused by name."""

import pytest
from tests.unit.migrations.histories import applied, file, source_of

from dbmigrate.errors import RefusedError
from dbmigrate.migrations.adoption import Accept, plan_adoption, refuse, remaining
from dbmigrate.migrations.applied import BASELINE
from dbmigrate.migrations.foreign import (
    ForeignHistory,
    ForeignMigration,
    version_of,
)
from dbmigrate.migrations.matching import Evidence
from dbmigrate.migrations.source import assemble
from dbmigrate.migrations.version import Version


def history(*numbers, **options):
    """A history of these numbers."""
    migrations = tuple(
        each
        if isinstance(each, ForeignMigration)
        else ForeignMigration(key=each, label=f"number {each}", version=version_of(each))
        for each in numbers
    )
    return ForeignHistory("tool", "public.theirs", migrations, **options)


BY_DIGEST = Evidence(digests=lambda ours: {"": ours.checksum})
"""As a tool whose checksum is ours."""


def rows(adoption):
    """Version and proof, in order; there is no problem."""
    assert adoption.problems == ()
    return [(str(each.record.file.version), each.proof) for each in adoption.rows]


def test_numbers_are_versions():
    """In the order in which the tool applied them."""
    adoption = plan_adoption(source_of("1.0.0", "1.1.0"), history("1.1", "1"), {})
    assert rows(adoption) == [("1.1.0", "version"), ("1.0.0", "version")]


def test_names_are_compared_without_regard_to_how_words_are_parted():
    """Where the number says nothing."""
    files = [file("1.0.0", name="create_users"), file("2.0.0", name="other")]
    source = assemble(files, [])
    named = ForeignMigration(key="x", label="x", name="Create users")
    assert rows(plan_adoption(source, history(named), {})) == [("1.0.0", "name")]


def test_a_name_that_two_files_have_says_nothing():
    """It is refused, not guessed."""
    source = assemble([file("1.0.0", name="fix"), file("2.0.0", name="fix")], [])
    named = ForeignMigration(key="x", label="x", name="fix")
    assert len(plan_adoption(source, history(named), {}).problems) == 1


def test_the_map_rules_over_the_number():
    """A person wrote it."""
    source = source_of("1.0.0", "2.0.0")
    adoption = plan_adoption(source, history("1"), {"1": Version(2, 0, 0)})
    assert [str(each.record.file.version) for each in adoption.rows] == ["2.0.0"]
    assert adoption.rows[0].proof == "map"


def test_a_map_to_a_version_without_a_file_is_told():
    """With what it says; keys of other databases' migrations do not matter."""
    mapping = {"1": Version(7, 0, 0), "of-another": Version(8, 0, 0)}
    (problem,) = plan_adoption(source_of("1.0.0"), history("1"), mapping).problems
    assert "the map says 7.0.0, which has no file" in problem


def test_a_checksum_finds_a_renumbered_file():
    """Also where another file has the old number."""
    source = assemble([file("1.0.0", "select 'new';"), file("1.1.0", "select 1;")], [])
    moved = ForeignMigration("1", "one", version_of("1"), digest=file("1.0.0").checksum)
    adoption = plan_adoption(source, history(moved), {}, BY_DIGEST, Accept(holes=True))
    assert rows(adoption) == [("1.1.0", "checksum")]


def test_two_migrations_on_one_file_are_refused_unless_they_belong_together():
    """1 and 1.0 are one version; a changelog's changesets are one file."""
    source = source_of("1.0.0")
    (problem,) = plan_adoption(source, history("1", "1.0"), {}).problems
    assert "stands for several: number 1, number 1.0" in problem
    parts = [ForeignMigration(f"f::{n}", f"f::{n}", group="f") for n in (1, 2)]
    mapping = {"f": Version(1, 0, 0)}
    adoption = plan_adoption(source, history(*parts), mapping)
    assert rows(adoption) == [("1.0.0", "map")]
    assert adoption.rows[0].foreign_id == "f::1, f::2"


def test_a_pointer_covers_what_is_older():
    """And nothing that is newer."""
    source = source_of("1.0.0", "2.0.0", "3.0.0")
    adoption = plan_adoption(source, history("2", is_pointer=True), {})
    assert rows(adoption) == [("1.0.0", "older than current"), ("2.0.0", "version")]


def test_a_baseline_covers_what_is_older_as_a_baseline():
    """The tool has not run it, so its origin is not the tool."""
    source = source_of("1.0.0", "2.0.0", "3.0.0")
    base = ForeignMigration("2", "base", version_of("2"), is_baseline=True)
    adoption = plan_adoption(source, history(base, "3"), {})
    assert [each.origin for each in adoption.rows] == [BASELINE, BASELINE, "adopted:tool"]


def test_a_hole_is_refused_by_name_unless_it_may_stay():
    """1.1.0 is older than what is adopted."""
    source = source_of("1.0.0", "1.1.0", "1.2.0", "1.3.0")
    args = (source, history("1", "1.2"), {})
    (problem,) = plan_adoption(*args).problems
    assert "v1.1.0_name.sql" in problem
    assert plan_adoption(*args, None, Accept(holes=True)).problems == ()


def test_an_edited_file_is_refused_unless_that_is_accepted():
    """And then recorded as edited."""
    theirs = ForeignMigration("1", "one", version_of("1"), digest="other")
    args = (source_of("1.0.0"), history(theirs), {}, BY_DIGEST)
    (problem,) = plan_adoption(*args).problems
    assert "is not one: its checksum differs from what tool ran" in problem
    assert rows(plan_adoption(*args, Accept(edited=True))) == [("1.0.0", "edited")]


def test_all_problems_are_told_at_once():
    """Mending one must not reveal the next; only so many are shown."""
    many = history(*[str(number) for number in range(100, 130)])
    adoption = plan_adoption(source_of("1.0.0"), many, {})
    with pytest.raises(RefusedError) as caught:
        refuse(adoption, many)
    assert caught.value.message.count("\n- ") == 21
    assert "and 10 more" in caught.value.message


def test_a_proposal_puts_what_is_left_beside_what_is_left():
    """In order; what belongs together goes to one file. It is never recorded by itself."""
    source = source_of("1.0.0", "2.0.0", "3.0.0")
    parts = [ForeignMigration(f"f::{n}", f"f::{n}", group="f") for n in (1, 2)]
    theirs = history("1", *parts, ForeignMigration("z", "z"), ForeignMigration("y", "y"))
    adoption = plan_adoption(source, theirs, {})
    assert [(each.key, file and str(file.version)) for each, file in adoption.proposal] == [
        ("1", "1.0.0"), ("f::1", "2.0.0"), ("f::2", "2.0.0"), ("z", "3.0.0"), ("y", None),
    ]  # fmt: skip
    assert len(adoption.problems) == 4


def test_what_is_recorded_already_is_left_out():
    """So that the same adoption again is nothing, and a later one the rest."""
    source = source_of("1.0.0", "2.0.0")
    adoption = plan_adoption(source, history("1", "2"), {})
    one = applied("1.0.0", origin="adopted:tool")
    assert [str(each.record.file.version) for each in remaining(adoption, one)] == ["2.0.0"]
    assert remaining(adoption, one + applied("2.0.0", origin="adopted:tool")) == ()


@pytest.mark.parametrize(
    "other",
    [
        applied("1.0.0"),
        applied("1.0.0", origin="adopted:another"),
        applied("1.0.0", origin="adopted:tool", text="select 2;"),
        applied("0.1.0", origin="adopted:tool"),
    ],
)
def test_a_history_with_anything_else_is_not_mixed(other):
    """By origin, by text, by version."""
    adoption = plan_adoption(source_of("1.0.0", "2.0.0"), history("1", "2"), {})
    with pytest.raises(RefusedError) as caught:
        remaining(adoption, other)
    assert caught.value.error_code == "HistoryNotEmpty"
