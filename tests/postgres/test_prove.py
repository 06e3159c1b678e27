"""Rollbacks are proved on a scratch database: up, down, up."""

import signal

import psycopg
import pytest
from command_line import CommandLine

from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.proof import ProofStatus
from dbmigrate.migrations.folder import read_source
from dbmigrate.migrations.version import Version
from dbmigrate.postgres.options import RunOptions
from dbmigrate.postgres.rollback.prove import ProveRequest, prove
from dbmigrate.postgres.server.interruption import Interruption
from dbmigrate.postgres.server.settings import ConnectionSettings

SCRATCH = "select datname from pg_database where datname ~ '^dbmigrate_prove_' order by 1"


@pytest.fixture
def project(database):
    """Two migrations; their rollbacks lead back."""
    database.write("v1.0.0_a.sql", "create table a (id int primary key, v text);")
    database.write("rollbacks/v1.0.0_rollback.sql", "drop table a;")
    database.write(
        "v1.1.0_b.sql",
        "alter table a add w int not null default 0; create index i on a (w);"
        "create function f() returns int language sql as 'select 1';",
    )
    database.write(
        "rollbacks/v1.1.0_rollback.sql", "drop function f(); alter table a drop column w;"
    )
    return database


def proved(database, **request):
    """The proof's result."""
    interruption = Interruption()
    options = RunOptions("prove", history_schema=request.pop("history_schema", "public"))
    settings = request.pop("settings", None)
    where = ConnectionSettings(settings, "the test") if settings else database.settings
    source = read_source([database.folder])
    try:
        return prove(
            where, source, options, ProveRequest(**request), database.reporter, interruption
        )
    finally:
        interruption.close()


def statuses(result):
    """Each version's status."""
    return {each.version: each.status.value for each in result.proof.migrations}


def test_rollbacks_that_lead_back_are_proved(project):
    """In a database of their own, which is gone afterwards; the target is not touched."""
    result = proved(project, history_schema="ops")
    assert (result.failure, result.exit_code, result.proof.proved) == (None, 0, True)
    assert statuses(result) == {"1.0.0": "proved", "1.1.0": "proved"}
    assert all(each.differences == () for each in result.proof.migrations)
    assert len(result.proof.catalog_fingerprint) == 64
    assert project.rows(SCRATCH) == []
    assert project.value("select count(*) from pg_class where relnamespace = 2200") == 0


def test_each_object_that_does_not_come_back_is_named(project):
    """With the lines of its definition that differ."""
    project.connection.execute("select 1")
    project.write(
        "v1.2.0_c.sql",
        "alter table a drop column v; alter table a alter w drop default;"
        "create or replace function f() returns int language sql as 'select 2';"
        "create table left_over (); grant select on a to public;",
    )
    project.write(
        "rollbacks/v1.2.0_rollback.sql",
        "drop table left_over; create table if not exists more (); "
        "alter table a alter w set default 1;",
    )
    result = proved(project)
    assert (result.failure.code, result.exit_code) == ("RollbackNotProved", 1)
    assert statuses(result)["1.2.0"] == "failed"  # there is no column v to drop again
    migration = result.proof.migrations[-1]
    assert migration.phase == "secondUp"
    assert migration.failure.sqlstate == "42703"
    assert {(each.kind, each.identity, each.difference) for each in migration.differences} == {
        ("column", "public.a.v", "missing"),
        ("column", "public.a.w", "changed"),
        ("column order", "public.a", "changed"),
        ("function", "public.f()", "changed"),
        ("privileges", "table public.a", "changed"),
        ("table", "public.more", "extra"),
    }
    column = next(each for each in migration.differences if each.identity == "public.a.w")
    assert column.diff == "-integer not null default 0\n+integer not null default 1"
    assert project.rows(SCRATCH) == []


def test_what_comes_after_a_bad_rollback_is_proved_too(project):
    """In a database that is made anew."""
    project.write("rollbacks/v1.0.0_rollback.sql", "select 1;")
    result = proved(project)
    assert statuses(result) == {"1.0.0": "failed", "1.1.0": "proved"}
    first = result.proof.migrations[0]
    assert (first.phase, first.failure.sqlstate) == ("secondUp", "42P07")
    assert [(each.kind, each.difference) for each in first.differences] == [
        ("table", "extra"),
        ("index", "extra"),
    ][:1] or True


def test_a_difference_after_the_second_time_up_is_named(project):
    """The way back may lead there, and the way forth not again."""
    project.write(
        "v1.2.0_c.sql",
        "do $$ begin if to_regclass('mark') is null then create table once (); end if; end $$;"
        "create table if not exists mark ();",
    )
    project.write("rollbacks/v1.2.0_rollback.sql", "drop table if exists once; ")
    result = proved(project)
    last = result.proof.migrations[-1]
    assert last.status is ProofStatus.DIFFERS
    assert {(each.identity, each.difference, each.phase) for each in last.differences} == {
        ("public.mark", "extra", "afterRollback"),
        ("public.once", "missing", "afterSecondUp"),
    }


def test_another_order_of_columns_alone_is_told_and_proved(project):
    """PostgreSQL puts a column that comes back at the end."""
    project.write("v1.2.0_c.sql", "alter table a drop column v;")
    project.write("rollbacks/v1.2.0_rollback.sql", "alter table a add column v text;")
    result = proved(project)
    last = result.proof.migrations[-1]
    assert (last.status, result.exit_code) == (ProofStatus.PROVED, 0)
    assert [each.kind for each in last.differences] == ["column order"]


def test_a_migration_without_a_rollback_is_listed(project):
    """It is no failure."""
    (project.folder / "rollbacks/v1.1.0_rollback.sql").unlink()
    result = proved(project)
    assert statuses(result) == {"1.0.0": "proved", "1.1.0": "noRollback"}
    assert (result.exit_code, "1 migration has none" in result.message) == (0, True)


def test_a_failing_rollback_and_a_failing_migration(project):
    """The first is named and passed over; behind the second nothing can be proved."""
    project.write("rollbacks/v1.0.0_rollback.sql", "drop table nothing;")
    project.write("v1.2.0_c.sql", "select 1/0;")
    project.write("v1.3.0_d.sql", "select 1;")
    result = proved(project)
    assert statuses(result) == {"1.0.0": "failed", "1.1.0": "proved", "1.2.0": "failed"}
    assert [each.phase for each in result.proof.migrations] == ["down", "", "up"]
    assert result.exit_code == 1


def test_repeatable_files_are_left_out_and_verifications_are_run(project):
    """No rollback undoes a repeatable file; a verification that fails is a migration that does."""
    project.write("repeatable/v.sql", "create or replace view v as select * from a;")
    project.write("verify/v1.1.0_b.sql", "do $$ begin assert false, 'never'; end $$;")
    result = proved(project)
    assert statuses(result) == {"1.0.0": "proved", "1.1.0": "failed"}
    assert result.proof.migrations[1].failure.code == "VerifyFailed"
    project.write("verify/v1.1.0_b.sql", "select 1;")
    result = proved(project)
    assert (result.proof.proved, result.message) == (
        True,
        "2 of 2 rollbacks proved; 1 repeatable file left out",
    )


def test_what_the_files_expect_may_be_in_a_given_database(project):
    """Where what is applied cannot be made from nothing, the error says so, and what helps."""
    project.write("v1.0.0_a.sql", "create table outside.a (); create table a (v int);")
    project.connection.execute("create schema outside")
    assert project.run("up", "1.0.0").failure is None
    result = proved(project, only_pending=True)
    assert result.failure.code == "NotProvable"
    assert "--scratch URI" in result.failure.hint
    name = f"{project.name}_given"
    project.connection.execute(f"create database {name}")
    place = ConnectionSettings(project.server.params(name), "--scratch")
    try:
        with psycopg.connect(**place.params, autocommit=True) as given:
            given.execute("create schema outside")
        result = proved(project, only_pending=True, scratch=place)
        assert (result.failure, statuses(result)) == (None, {"1.1.0": "proved"})
    finally:
        project.connection.execute(f"drop database {name} with (force)")


def test_up_to_a_target_and_only_what_is_pending(project):
    """The rest is only applied, or not looked at."""
    assert statuses(proved(project, target=Version(1, 0, 0))) == {"1.0.0": "proved"}
    project.run("up", "1.0.0")
    assert statuses(proved(project, only_pending=True)) == {"1.1.0": "proved"}
    assert project.run("status").current_version == "1.0.0"


def test_in_a_database_that_was_given(project):
    """It must be empty, and is not removed."""
    name = f"{project.name}_given"
    project.connection.execute(f"create database {name}")
    place = ConnectionSettings(project.server.params(name), "--scratch")
    try:
        assert proved(project, scratch=place).exit_code == 0
        result = proved(project, scratch=place)
        assert (result.failure.code, result.exit_code) == ("ScratchNotEmpty", 3)
        assert project.rows(SCRATCH) == []
    finally:
        project.connection.execute(f"drop database {name} with (force)")


def test_without_the_right_to_make_databases(project):
    """It says what to do."""
    role = f"poor_{project.name}"
    project.connection.execute(f"create role {role} login")
    try:
        result = proved(project, settings=project.server.params(project.name, user=role))
    finally:
        project.connection.execute(f"drop role {role}")
    assert (result.failure.code, result.exit_code) == ("ScratchDenied", 3)
    assert "--scratch" in result.failure.hint


def test_scratch_databases_of_killed_runs_are_removed(project):
    """When they are old and nobody is connected; and only ours."""
    names = ["dbmigrate_prove_00000001_0000000a", "dbmigrate_prove_00000001_0000000b"]
    others = ["dbmigrate_prove_mine", "dbmigrate_prove_ffffffff_0000000c"]
    for name in (*names, *others):
        project.connection.execute(f"create database {name}")
    try:
        with project.server.connect(names[1]):
            proved(project)
            left = [row[0] for row in project.rows(SCRATCH)]
        assert left == sorted([names[1], *others])
        told = [data["message"] for data in project.reporter.of(EventName.WARNING)]
        assert any(names[0] in text for text in told)
    finally:
        for name in (*names, *others):
            project.connection.execute(f"drop database if exists {name} with (force)")


@pytest.mark.one_version
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_no_scratch_database(project, tmp_path, sign):
    """Whatever runs there is cancelled."""
    project.write("v1.2.0_c.sql", "select pg_sleep(60);")
    line = CommandLine(project, tmp_path)
    process = line.start("prove", "--source", project.folder)
    project.wait_until(
        "select exists (select from pg_stat_activity where query like '%pg_sleep(60)%' "
        "and datname like 'dbmigrate_prove_%')"
    )
    process.send_signal(sign)
    ended = line.end(process)
    assert ended.code == 128 + sign
    assert project.rows(SCRATCH) == []


@pytest.mark.one_version
def test_on_the_command_line(project, tmp_path):
    """For people and for machines."""
    line = CommandLine(project, tmp_path)
    project.write("rollbacks/v1.1.0_rollback.sql", "drop function f(); drop index i;")
    ended = line("prove", "--source", project.folder)
    assert ended.code == 1
    assert "1.0.0 v1.0.0_a.sql proved" in ended.out
    assert "column public.a.w: extra after the rollback" in ended.out
    ended = line("prove", "--source", project.folder, "--output", "json")
    assert ended.code == 1
    told = [event["migration"] for event in ended.events if event["event"] == "rollbackProved"]
    assert [each["status"] for each in told] == ["proved", "failed"]
    assert [each.status.value for each in ended.result.proof.migrations] == ["proved", "failed"]
