"""Rolling back and forward: `down` and `to`."""

import pytest

from dbmigrate.api.report.plan import Direction


@pytest.fixture
def project(database):
    """Three tables, a version each, with rollbacks."""
    for number in (1, 2, 3):
        database.write(f"v1.{number}.0_t.sql", f"create table t{number} ();")
        database.write(f"rollbacks/v1.{number}.0_rollback_t.sql", f"drop table t{number};")
    assert database.run("up").current_version == "1.3.0"
    return database


def test_undoes_the_newest_first(project):
    """And says so: a row for each, and the forward row's status."""
    result = project.run("down", "1.1.0")
    assert [record.version for record in result.applied] == ["1.3.0", "1.2.0"]
    assert {record.type for record in result.applied} == {Direction.ROLLBACK}
    assert result.current_version == "1.1.0"
    assert (project.has("t1"), project.has("t2"), project.has("t3")) == (True, False, False)
    assert project.history() == [
        ("1.1.0", "forward", "completed"),
        ("1.2.0", "forward", "rolled_back"),
        ("1.3.0", "forward", "rolled_back"),
        ("1.3.0", "rollback", "completed"),
        ("1.2.0", "rollback", "completed"),
    ]


def test_down_zero_undoes_everything(project):
    """The database is as before the first migration, but for its history."""
    result = project.run("down", "0")
    assert (result.failure, result.current_version, result.history_total) == (None, None, 0)
    assert not project.has("t1")


def test_forward_and_back_any_number_of_times(project):
    """A version that was rolled back is applied and rolled back again."""
    for _ in range(3):
        assert project.run("to", "1.1.0").current_version == "1.1.0"
        assert project.run("to", "1.3.0").current_version == "1.3.0"
    assert project.value("select count(*) from schema_migrations") == 3 + 3 * 4


def test_a_failing_rollback_leaves_the_version_applied(project):
    """Half of a rollback is not a state."""
    project.write("rollbacks/v1.3.0_rollback_t.sql", "drop table t3; select 1/0;")
    result = project.run("down", "1.2.0")
    assert (result.failure.sqlstate, result.current_version) == ("22012", "1.3.0")
    assert project.has("t3")
    assert project.history()[-1] == ("1.3.0", "rollback", "failed")


def test_a_missing_rollback_is_refused_before_any_runs(project):
    """Not after the first was undone."""
    (project.folder / "rollbacks/v1.2.0_rollback_t.sql").unlink()
    project.connection.execute("alter table schema_migrations disable trigger all")
    project.connection.execute("update schema_migrations set rollback_sql = null")
    result = project.run("down", "1.1.0")
    assert result.failure.code == "RollbackMissing"
    assert project.has("t3")


def test_the_rollback_kept_in_the_database_serves_an_older_release(project):
    """The release that is deployed again does not have the newer files."""
    for path in project.folder.rglob("v1.3.0*"):
        path.unlink()
    result = project.run("to", "1.2.0")
    assert (result.failure, result.current_version) == (None, "1.2.0")
    assert not project.has("t3")
    filename = "select filename from schema_migrations order by id desc limit 1"
    assert project.value(filename) == "rollbacks/v1.3.0_rollback_t.sql"


def test_a_kept_rollback_that_was_changed_is_refused(project):
    """What runs is what was stored."""
    for path in project.folder.rglob("v1.3.0*"):
        path.unlink()
    project.connection.execute("alter table schema_migrations disable trigger all")
    project.connection.execute("update schema_migrations set rollback_sql = 'drop table t1'")
    assert project.run("to", "1.2.0").failure.code == "HistoryDamaged"
    assert project.has("t1")


def test_a_rollback_may_keep_data(project):
    """rollback_data_log is there from the start."""
    project.write(
        "rollbacks/v1.3.0_rollback_t.sql",
        "insert into rollback_data_log (rollback_version, table_name, data_snapshot) "
        "values ('1.3.0', 't3', '{}'); drop table t3;",
    )
    assert project.run("down", "1.2.0").failure is None
    assert project.value("select count(*) from rollback_data_log") == 1


def test_an_unknown_version_is_told(project):
    """A typing error is not a command."""
    result = project.run("down", "1.1.5")
    assert (result.failure.code, result.exit_code) == ("UnknownVersion", 2)


def test_a_rollback_that_touches_the_history_itself_is_undone(project):
    """Its row would say what the engine did not do."""
    project.write(
        "rollbacks/v1.3.0_rollback_t.sql",
        "drop table t3;"
        "update schema_migrations set status = 'rolled_back' where version = '1.3.0';",
    )
    result = project.run("down", "1.2.0")
    assert (result.failure.code, result.current_version) == ("MigrationFailed", "1.3.0")
    assert project.has("t3")
