"""Histories that the real tools left are taken over, and gone on with."""

import signal

import pytest
from command_line import CommandLine
from foreign_histories import ALEMBIC, ALL, DBMATE, FLYWAY, GOLANG_MIGRATE, GOOSE

from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.api.rules import ForeignHistory, PlanRules
from dbmigrate.migrations.amend import Amend

pytestmark = pytest.mark.one_version

ADOPTING = """
    select count(*) = 1 from pg_stat_activity
    where datname = current_database() and application_name = 'dbmigrate/adopt'
        and wait_event_type = 'Lock'
"""


@pytest.fixture(params=ALL, ids=lambda left: left.tool)
def left(request, database, tmp_path):
    """What one tool left, with our files beside it; `amend` has a map where one is needed."""
    request.param.put(database)
    database.map = None
    if request.param is ALEMBIC:
        database.map = tmp_path / "map.yaml"
        database.map.write_text("ae1027a6acf9: 3.0.0\n")
    return request.param


def _tables(database, left):
    return [database.rows(f"select * from {table} order by 1") for table in left.tables]


def test_it_is_found_compared_recorded_and_gone_on_with(database, left):
    """Without being told which tool it was; its tables stay as they were."""
    before = _tables(database, left)
    options = {"history_schema": left.schema}
    result = database.run("adopt", amend=Amend(map_file=database.map), **options)
    assert (result.failure, result.outcome) == (None, Outcome.SUCCEEDED)
    assert [each.version for each in result.amendments] == list(left.versions)
    assert result.amendments[-1].proof == left.proof
    assert {record.origin for record in result.history} == {f"adopted:{left.tool}"}
    assert result.current_version == left.versions[-1]
    database.write("v99999999.0.0_more.sql", "create table more ();")
    result = database.run("up", **options)
    assert [record.version for record in result.applied] == ["99999999.0.0"]
    assert _tables(database, left) == before


def test_a_dry_run_records_nothing_and_a_second_adoption_nothing_more(database, left):
    """The same rows are told before they are recorded."""
    options = {"history_schema": left.schema}
    dry = database.run("adopt", amend=Amend(dry_run=True, map_file=database.map), **options)
    assert not database.has(f"{left.schema}.migration_settings")
    done = database.run("adopt", amend=Amend(map_file=database.map), **options)
    assert dry.amendments == done.amendments
    again = database.run("adopt", amend=Amend(map_file=database.map), **options)
    assert (again.outcome, again.amendments) == (Outcome.SUCCEEDED, ())
    assert again.history_total == len(left.versions)


def test_a_migration_without_a_file_is_refused_by_name(database, left):
    """Nothing at all is recorded then."""
    for path in database.folder.rglob(f"v{left.versions[-1]}_*"):
        path.unlink()
    amend = Amend(map_file=database.map)
    result = database.run("adopt", amend=amend, history_schema=left.schema)
    assert (result.failure.code, result.exit_code) == ("AdoptionMismatch", 3)
    assert "no file" in result.failure.message
    assert not database.has(f"{left.schema}.migration_settings")


def test_a_file_that_the_tool_has_not_applied_is_refused_by_name(database, left):
    """It is older than what is applied: `up` would run it late, or never."""
    database.write("v0.5.0_forgotten.sql", "select 1;")
    amend = Amend(map_file=database.map)
    result = database.run("adopt", amend=amend, history_schema=left.schema)
    if left in (GOLANG_MIGRATE, ALEMBIC):  # which say of nothing older that it is not applied
        assert result.failure is None
        return
    assert result.failure.code == "AdoptionMismatch"
    assert "v0.5.0_forgotten.sql: is older than" in result.failure.message


def test_who_and_when_come_from_the_tool(database):
    """Beside who adopted it, and what it was called."""
    FLYWAY.put(database)
    database.run("adopt")
    rows = database.rows("""
        select version, applied_by, applied_at::date::text, execution_time_ms, recorded_by,
            foreign_id, proof, rollback_sql
        from schema_migrations order by id
    """)
    assert rows[1] == (
        "1.1.0", "postgres", "2026-11-23", 14, "tester", "1.1", "checksum", "select 'undo 1.1.0';",
    )  # fmt: skip


def test_what_was_adopted_can_be_rolled_back(database):
    """The files matched, so their rollbacks do."""
    FLYWAY.put(database)
    database.run("adopt")
    result = database.run("down", "1.0.0")
    assert [record.version for record in result.applied] == ["2.0.0", "1.1.0"]


def test_later_migrations_of_the_tool_can_be_adopted_later(database):
    """Until ours has run something itself."""
    GOOSE.put(database)
    database.connection.execute("delete from goose_db_version where version_id = 3")
    assert database.run("adopt").current_version == "2.0.0"
    database.connection.execute(
        "insert into goose_db_version (version_id, is_applied) values (3, true)"
    )
    result = database.run("adopt")
    assert [each.version for each in result.amendments] == ["3.0.0"]
    assert result.current_version == "3.0.0"


def test_a_history_that_ran_something_else_adopts_nothing(database):
    """Two histories would be mixed."""
    GOOSE.put(database)
    database.write("v0.1.0_own.sql", "create table own ();")
    database.run("up", "0.1.0", rules=PlanRules(foreign_history=ForeignHistory.IGNORE))
    failure = database.run("adopt").failure
    assert failure.code in {"HistoryNotEmpty", "AdoptionMismatch"}
    (database.folder / "v0.1.0_own.sql").unlink()
    failure = database.run("adopt").failure
    assert failure.code == "HistoryNotEmpty"
    assert "0.1.0" in failure.message


def test_no_history_and_several_are_told(database):
    """What is there is named; the tool's name or its table chooses."""
    GOOSE.put(database)
    assert database.run("adopt", amend=Amend(tool="flyway")).failure.code == "NoForeignHistory"
    assert database.run("adopt", amend=Amend(tool="rails")).failure.code == "UnknownTool"
    database.connection.execute("""
        create schema old;
        create table old.goose_db_version as select * from public.goose_db_version
    """)
    failure = database.run("adopt").failure
    assert failure.code == "SeveralForeignHistories"
    assert "goose in old.goose_db_version, goose in public.goose_db_version" in failure.message
    amend = Amend(table="old.goose_db_version")
    assert database.run("adopt", amend=amend).current_version == "3.0.0"


def test_a_table_of_another_name_is_found_by_its_columns(database):
    """Every tool lets its users choose one."""
    GOOSE.put(database)
    database.connection.execute("alter table goose_db_version rename to our_versions")
    assert database.run("adopt").failure.code == "NoForeignHistory"
    assert database.run("adopt", amend=Amend(table="our_versions")).failure is None


@pytest.mark.parametrize("left", [GOLANG_MIGRATE, DBMATE], ids=lambda left: left.tool)
def test_a_table_with_our_name_is_told_with_the_way_out(database, left):
    """Their schema_migrations and ours cannot be in one schema."""
    left.put(database)
    for command in ("adopt", "up", "status"):
        failure = database.run(command).failure
        assert failure.code == "ForeignHistory"
        assert left.tool in failure.message
        assert "--history-schema" in failure.hint
        assert "dbmigrate adopt" in failure.hint


def test_a_run_of_the_tool_beside_is_waited_for_and_then_refused(database, tmp_path):
    """What it has done meanwhile was not compared."""
    GOOSE.put(database)
    database.connection.execute("delete from goose_db_version where version_id = 3")
    dbmigrate = CommandLine(database, tmp_path)
    with database.another() as other:
        with other.transaction():
            other.execute("insert into goose_db_version (version_id, is_applied) values (3, true)")
            process = dbmigrate.start("adopt", "--source", database.folder, "--lock-timeout", "1m")
            database.wait_until(ADOPTING)
        ended = dbmigrate.end(process)
    assert (ended.code, "ForeignHistoryChanged" in ended.err) == (3, True)
    assert database.value("select count(*) from schema_migrations") == 0
    assert dbmigrate("adopt", "--source", database.folder).code == 0


def test_killed_in_the_midst_nothing_is_adopted(database, tmp_path):
    """All rows or none; the same command does it again."""
    GOOSE.put(database)
    database.run("up", "1.0.0")
    database.run("down", "0")
    dbmigrate = CommandLine(database, tmp_path)
    arguments = ("adopt", "--source", database.folder, "--lock-timeout", "1m")
    with database.another() as other, other.transaction(force_rollback=True):
        other.execute(
            "insert into schema_migrations (version, filename, checksum, text_checksum, applied_by)"
            " values ('2.0.0', 'f', 'c', 't', 'b')"
        )
        process = dbmigrate.start(*arguments)
        database.wait_until(ADOPTING)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        database.connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'dbmigrate/adopt' and datname = current_database()"
        )
        database.wait_until("""
            select count(*) = 0 from pg_stat_activity
            where datname = current_database() and application_name = 'dbmigrate/adopt'
        """)
    adopted = "select count(*) from schema_migrations where origin = 'adopted:goose'"
    assert database.value(adopted) == 0
    assert dbmigrate(*arguments).code == 0
    assert database.value(adopted) == 3


def test_a_missing_right_is_told_with_the_grant(database):
    """Reading is not enough to be sure that nobody writes."""
    GOOSE.put(database)
    role = f"reader_{database.name}"
    database.connection.execute(
        f"create role {role} login; grant create on schema public to {role}"
    )
    settings = {**database.server.params(database.name), "user": role}
    try:
        failure = database.run("adopt", settings=settings).failure
        assert failure.code == "ForeignHistoryDenied"
        database.connection.execute(f"grant select on goose_db_version to {role}")
        failure = database.run("adopt", settings=settings).failure
        assert failure.code == "ForeignHistoryDenied"
        assert "grant select, update on public.goose_db_version" in failure.hint
        database.connection.execute(f"grant update on goose_db_version to {role}")
        assert database.run("adopt", settings=settings).failure is None
    finally:
        database.connection.execute(f"drop owned by {role} cascade; drop role {role}")


def test_people_see_which_file_stands_for_what(database, tmp_path):
    """Before and after; `status` says where a migration came from."""
    FLYWAY.put(database)
    dbmigrate = CommandLine(database, tmp_path)
    where = ("--source", database.folder)
    dry = dbmigrate("adopt", *where, "--dry-run")
    assert dry.code == 0
    assert "Nothing was recorded" in dry.out
    assert "v1.1.0_create_book.sql" in dry.out
    assert "R__titles.sql: repeatable" in dry.err
    done = dbmigrate("adopt", "flyway", *where, "--output", "json")
    assert done.result.amendments[1].foreign == "1.1"
    assert "adopted from flyway" in dbmigrate("status", *where).out
    database.write("v1.1.0_create_book.sql", "select 1;")
    refused = dbmigrate("adopt", *where)
    assert (refused.code, "AdoptionMismatch" in refused.err) == (3, True)
    assert "checksum differs" in refused.err


def test_what_another_tool_has_migrated_is_not_migrated_again(database, left):
    """Its schema is there already; `status` says so, and a rule lets it run all the same."""
    options = {"history_schema": left.schema}
    failure = database.run("up", **options).failure
    assert failure.code == "ForeignHistoryFound"
    assert left.tool in failure.message
    assert database.run("validate", **options).failure.code == "ForeignHistoryFound"
    assert database.run("status", **options).failure is None
    assert any(left.tool in data["message"] for data in database.reporter.of(EventName.WARNING))
    rules = PlanRules(foreign_history=ForeignHistory.IGNORE)
    result = database.run("plan", rules=rules, **options)
    assert len(result.plan.steps) == len(left.versions)
