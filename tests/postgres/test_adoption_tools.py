"""What is particular to each tool: checksums that tell an edit, states that are not whole."""

import shutil

import pytest
from foreign_histories import (
    ALEMBIC,
    DBMATE,
    FLYWAY,
    FOLDER,
    GOLANG_MIGRATE,
    GOOSE,
    LIQUIBASE,
    SQITCH,
)

from dbmigrate.api.report.events import EventName
from dbmigrate.api.rules import OutOfOrder, PlanRules
from dbmigrate.migrations.amend import Amend
from dbmigrate.migrations.version import Version

pytestmark = pytest.mark.one_version


def refused(database, **options):
    """The failure of an adoption."""
    failure = database.run("adopt", **options).failure
    assert failure is not None
    return failure


def proofs(result):
    """By what each version was matched."""
    assert result.failure is None
    return {each.version: each.proof for each in result.amendments}


@pytest.mark.parametrize(
    ("left", "number", "version"),
    [(FLYWAY, 1, "1.1.0"), (LIQUIBASE, 1, "2.0.0"), (SQITCH, 0, "1.0.0")],
    ids=lambda each: getattr(each, "tool", ""),
)
def test_an_edited_file_is_known_by_the_tools_checksum(database, left, number, version):
    """It is taken with a reason alone, which is recorded with the row."""
    left.put(database)
    (path,) = database.folder.glob(f"v{version}_*.sql")
    path.write_bytes(left.text(number).replace(b"create table", b"create  unlogged table"))
    failure = refused(database)
    assert failure.code == "AdoptionMismatch"
    assert f"{path.name}: is not " in failure.message
    assert f"its checksum differs from what {left.tool} ran" in failure.message
    assert refused(database, amend=Amend(accept_edited=True)).code == "NoReason"
    result = database.run("adopt", amend=Amend(accept_edited=True, reason="agreed"))
    assert proofs(result)[version] == "edited"
    query = "select reason from schema_migrations where proof = 'edited'"
    assert database.value(query) == "agreed"


def test_flyways_files_may_have_been_numbered_anew(database):
    """The checksum finds them, even where another file has their old number."""
    FLYWAY.put(database)
    for old, new in (("2.0.0", "1.3.0"), ("1.1.0", "1.2.0"), ("1.0.0", "1.1.0")):
        for path in database.folder.rglob(f"v{old}_*"):
            path.rename(path.with_name(path.name.replace(f"v{old}_", f"v{new}_")))
    result = database.run("adopt")
    assert proofs(result) == dict.fromkeys(("1.1.0", "1.2.0", "1.3.0"), "checksum")


def test_flyways_line_ends_do_not_count(database):
    """Its checksum leaves them out; ours is of the file as it is now."""
    FLYWAY.put(database)
    database.write("v1.1.0_create_book.sql", FLYWAY.text(1).replace(b"\n", b"\r\n"))
    assert proofs(database.run("adopt"))["1.1.0"] == "checksum"


def test_flyways_baseline_is_ours(database):
    """What lay below it was not run by Flyway either: the way back ends there."""
    FLYWAY.put(database, "baseline.sql")
    result = database.run("adopt")
    assert proofs(result) == {"1.0.0": "baseline", "1.1.0": "baseline", "2.0.0": "checksum"}
    assert database.run("down", "0").failure.code == "BelowBaseline"


def test_flyways_failed_migration_stops_the_adoption(database):
    """Nobody knows what of it is in the database."""
    FLYWAY.put(database)
    database.connection.execute(
        "update flyway_schema_history set success = false where version = '2'"
    )
    failure = refused(database)
    assert failure.code == "AdoptionUnfinished"
    assert "V2__add_year.sql" in failure.message
    assert "flyway repair" in failure.hint


def test_flyways_undone_migration_is_not_applied(database):
    """Its later row takes it back, and a still later one applies it again."""
    FLYWAY.put(database)
    insert = """
        insert into flyway_schema_history values
            ({}, '2', 'add year', '{}', 'U2__add_year.sql', 1219040525, 'postgres', now(), 1, true)
    """
    database.connection.execute(insert.format(5, "UNDO_SQL"))
    assert database.run("adopt", amend=Amend(dry_run=True)).amendments[-1].version == "1.1.0"
    database.connection.execute(insert.format(6, "SQL"))
    assert database.run("adopt").current_version == "2.0.0"


def test_flyways_repeatable_is_not_adopted_and_that_is_said(database):
    """It runs again by ours."""
    FLYWAY.put(database)
    database.run("adopt")
    warnings = [each["message"] for each in database.reporter.of(EventName.WARNING)]
    assert any("R__titles.sql: repeatable" in each for each in warnings)


def test_liquibases_held_lock_stops_the_adoption(database):
    """A run is at work, or has died."""
    LIQUIBASE.put(database)
    database.connection.execute("update databasechangeloglock set locked = true, lockedby = 'ci'")
    failure = refused(database)
    assert failure.code == "AdoptionUnfinished"
    assert "held by ci" in failure.message
    assert "release-locks" in failure.hint


def test_liquibases_changeset_may_have_lost_its_header(database):
    """The SQL alone has the checksum too, where a file is one changeset."""
    LIQUIBASE.put(database)
    bare = LIQUIBASE.text(0).split(b"--changeset team:1\n")[1].split(b"--rollback")[0]
    database.write("v1.0.0_create_author.sql", bare)
    assert proofs(database.run("adopt"))["1.0.0"] == "checksum"


def test_liquibases_file_with_another_changeset_is_not_what_ran(database):
    """A changeset more in the file was never applied."""
    LIQUIBASE.put(database)
    more = LIQUIBASE.text(1) + b"\n--changeset team:2-more\nselect 2;\n"
    database.write("v2.0.0_create_book.sql", more)
    assert refused(database).code == "AdoptionMismatch"


def test_liquibases_older_checksums_are_matched_but_not_compared(database):
    """Those of version 8 are made another way."""
    LIQUIBASE.put(database)
    database.connection.execute("update databasechangelog set md5sum = '8:' || substr(md5sum, 3)")
    assert proofs(database.run("adopt")) == {
        "1.0.0": "version", "2.0.0": "name", "3.0.0": "version",
    }  # fmt: skip


def test_liquibases_files_can_be_mapped_as_wholes(database, tmp_path):
    """By the changelog's file, or by one changeset."""
    LIQUIBASE.put(database)
    for old, new in (("1.0.0", "0.1.0"), ("2.0.0", "0.2.0"), ("3.0.0", "0.3.0")):
        for path in database.folder.rglob(f"v{old}_*"):
            path.rename(path.with_name(f"v{new}_{path.name.partition('_')[2]}"))
    database.write("v0.2.0_create_book.sql", LIQUIBASE.text(1) + b"-- a remark\n")
    file = tmp_path / "map.csv"
    file.write_text(
        "changelog/001_create_author.sql,0.1.0\n"
        "changelog/002_create_book.sql,v0.2.0\n"
        "changelog/003_add_year.sql::3::other,0.3.0\n"
    )
    failure = refused(database, amend=Amend(map_file=file))
    assert "v0.2.0_create_book.sql" in failure.message
    amend = Amend(map_file=file, accept_edited=True, reason="a remark")
    assert proofs(database.run("adopt", amend=amend)) == {
        "0.1.0": "checksum", "0.2.0": "edited", "0.3.0": "checksum",
    }  # fmt: skip


def test_golang_migrates_dirty_version_stops_the_adoption(database):
    """It failed half-way."""
    GOLANG_MIGRATE.put(database, "dirty.sql")
    failure = refused(database, history_schema="dbmigrate")
    assert failure.code == "AdoptionUnfinished"
    assert "version 4 is dirty" in failure.message
    assert "migrate force 4" in failure.hint


def test_golang_migrates_newer_files_stay_pending(database):
    """Only what is up to its version is applied."""
    GOLANG_MIGRATE.put(database)
    database.connection.execute("update public.schema_migrations set version = 2")
    result = database.run("adopt", history_schema="dbmigrate")
    assert proofs(result) == {"1.0.0": "older than current", "2.0.0": "version"}
    assert result.pending_versions == ("3.0.0",)


@pytest.mark.parametrize("left", [GOLANG_MIGRATE, DBMATE], ids=lambda left: left.tool)
def test_a_tool_that_has_applied_nothing_is_nothing_to_adopt(database, left):
    """Its table is there and empty."""
    left.put(database)
    database.connection.execute("delete from public.schema_migrations")
    result = database.run("adopt", history_schema="dbmigrate")
    assert (result.failure, result.amendments) == (None, ())
    assert "nothing" in result.message


def test_gooses_undone_migration_is_not_applied(database):
    """Older releases add a row that says so."""
    GOOSE.put(database)
    database.connection.execute(
        "insert into goose_db_version (version_id, is_applied) values (3, false)"
    )
    assert database.run("adopt").current_version == "2.0.0"


def test_a_hole_is_refused_unless_late_files_may_run(database):
    """Goose has not applied 2, which then stays pending."""
    GOOSE.put(database)
    database.connection.execute("delete from goose_db_version where version_id = 2")
    failure = refused(database)
    assert "v2.0.0_create_book.sql: is older than 3.0.0" in failure.message
    rules = PlanRules(out_of_order=OutOfOrder.WARN)
    result = database.run("adopt", rules=rules)
    assert (result.failure, result.pending_versions) == (None, ("2.0.0",))


def test_alembics_revision_needs_a_map_which_is_proposed(database, tmp_path):
    """Its name is no number; nothing that is only proposed is recorded."""
    ALEMBIC.put(database)
    file = tmp_path / "map.yaml"
    failure = refused(database, amend=Amend(write_map=file))
    assert failure.code == "AdoptionMismatch"
    assert "ae1027a6acf9" in failure.message
    text = file.read_text()
    assert '"ae1027a6acf9": 1.0.0  # revision ae1027a6acf9' in text
    assert refused(database, amend=Amend(write_map=file)).code == "MapNotWritten"
    file.write_text(text.replace(": 1.0.0", ": 3.0.0"))
    result = database.run("adopt", amend=Amend(map_file=file))
    assert proofs(result) == {
        "1.0.0": "older than current", "2.0.0": "older than current", "3.0.0": "map",
    }  # fmt: skip


def test_alembics_branches_are_brought_together_first(database):
    """Of two heads, neither is the newest."""
    ALEMBIC.put(database)
    database.connection.execute("insert into alembic_version values ('27c6a30d7c24')")
    failure = refused(database)
    assert failure.code == "AdoptionUnfinished"
    assert "27c6a30d7c24, ae1027a6acf9" in failure.message
    assert "alembic merge" in failure.hint


def test_sqitchs_changes_are_known_by_name(database):
    """Its scripts begin and end a transaction, which ours leave out: that is an edit."""
    SQITCH.put(database)
    bare = SQITCH.text(2).replace(b"BEGIN;\n", b"").replace(b"COMMIT;\n", b"")
    database.write("v2.0.0_add_year.sql", bare)
    failure = refused(database)
    assert "v2.0.0_add_year.sql: is not library:add_year: its checksum differs" in failure.message
    amend = Amend(accept_edited=True, reason="without begin and commit")
    result = database.run("adopt", amend=amend)
    assert proofs(result) == {"1.0.0": "checksum", "1.1.0": "checksum", "2.0.0": "edited"}
    assert result.history[0].applied_by == "Library Team <team@example.org>"


@pytest.mark.parametrize(
    "left", [FLYWAY, GOLANG_MIGRATE, DBMATE, GOOSE, SQITCH], ids=lambda left: left.tool
)
def test_originals_prove_what_checksums_cannot(database, left):
    """Ours may differ in comments, white space, and what begins and ends a transaction."""
    left.put(database)
    folder = (FOLDER / left.files[0]).parent
    for number, path in enumerate(sorted(database.folder.glob("*.sql"), key=_version)):
        text = left.text(number).decode().replace("BEGIN;\n", "").replace("COMMIT;\n", "")
        path.write_text("-- moved\n" + text.replace(" (\n", "\n(\n").replace("create", "CREATE"))
    result = database.run("adopt", amend=Amend(originals=folder), history_schema=left.schema)
    assert set(proofs(result).values()) == {"statements"}


@pytest.mark.parametrize("left", [GOLANG_MIGRATE, DBMATE, GOOSE], ids=lambda left: left.tool)
@pytest.mark.parametrize("number", [0, 2])
def test_originals_show_an_edit(database, left, number):
    """Also below the current version of a tool that keeps nothing else."""
    left.put(database)
    folder = (FOLDER / left.files[0]).parent
    path = sorted(database.folder.glob("*.sql"), key=_version)[number]
    path.write_bytes(left.text(number).replace(b"table", b"TABLE if not exists"))
    options = {"history_schema": left.schema}
    failure = refused(database, amend=Amend(originals=folder), **options)
    assert path.name in failure.message
    assert "its statements are not those of" in failure.message
    amend = Amend(originals=folder, accept_edited=True, reason="agreed")
    found = proofs(database.run("adopt", amend=amend, **options))
    assert sorted(found.values()) == ["edited", "statements", "statements"]


def test_originals_that_the_tool_did_not_run_prove_nothing(database, tmp_path):
    """Flyway's checksum is of another text."""
    FLYWAY.put(database)
    folder = tmp_path / "sql"
    folder.mkdir()
    text = b"create table author ();"
    (folder / "V1__create_author.sql").write_bytes(text)
    database.write("v1.0.0_create_author.sql", text)
    failure = refused(database, amend=Amend(originals=folder))
    assert "V1__create_author.sql has another checksum than what flyway ran" in failure.message
    assert "v1.1.0" not in failure.message


def test_originals_that_are_not_there_are_told(database, tmp_path):
    """A folder without them, one file missing, a tool that has none."""
    GOOSE.put(database)
    assert refused(database, amend=Amend(originals=tmp_path / "none")).code == "NoOriginals"
    folder = tmp_path / "goose"
    shutil.copytree((FOLDER / GOOSE.files[0]).parent, folder)
    (folder / "00002_create_book.sql").unlink()
    assert "no original of 2" in refused(database, amend=Amend(originals=folder)).message
    database.connection.execute("drop table goose_db_version")
    LIQUIBASE.put(database)
    assert refused(database, amend=Amend(originals=folder)).code == "NoOriginals"


def _version(path):
    return Version.parse(path.name.partition("_")[0])
