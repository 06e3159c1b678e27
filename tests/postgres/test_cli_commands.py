"""The commands as a user types them: what they print, in text and JSON, and their exit codes."""

import json

import pytest

from dbmigrate.api.report.lines import parse_result
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.api.report.termination import TERMINATION_MESSAGE_LIMIT
from dbmigrate.migrations.folder import read_source

pytestmark = pytest.mark.one_version


@pytest.fixture
def two_files(database):
    """Two migrations with their rollbacks."""
    database.write("v1.0.0_users.sql", "create table users (id int primary key);\n")
    database.write("v1.1.0_names.sql", "alter table users add column name text;\n")
    database.write("rollbacks/v1.0.0_rollback.sql", "drop table users;\n")
    database.write("rollbacks/v1.1.0_rollback.sql", "alter table users drop column name;\n")


@pytest.mark.usefixtures("two_files")
def test_status_of_an_empty_database_lists_all_as_pending_and_creates_nothing(database, dbmigrate):
    """Looking changes nothing."""
    ended = dbmigrate("status")
    assert ended.code == 0
    assert "v1.0.0_users.sql  pending" in ended.out
    assert "CURRENT none, nothing is applied, 2 pending" in ended.out
    assert f"{database.name} at 127.0.0.1" in ended.out
    assert "from DATABASE_URL" in ended.out
    assert ended.err == ""
    assert not database.has("public.schema_migrations")


@pytest.mark.usefixtures("two_files")
def test_up_shows_each_file_with_its_number_and_the_version_reached(database, dbmigrate):
    """In a log: one line when a file begins, one when it is done."""
    ended = dbmigrate("up")
    assert ended.code == 0
    assert "[1/2] v1.0.0_users.sql …" in ended.out
    assert "[2/2] v1.1.0_names.sql applied in" in ended.out
    assert "2 migrations applied in" in ended.out
    assert "current version 1.1.0" in ended.out
    assert "\x1b" not in ended.out
    assert [row[0] for row in database.history()] == ["1.0.0", "1.1.0"]


@pytest.mark.usefixtures("two_files")
def test_up_again_has_nothing_to_do(dbmigrate):
    """And says so."""
    dbmigrate("up")
    ended = dbmigrate("up")
    assert ended.code == 0
    assert "Nothing to do: current version 1.1.0" in ended.out


@pytest.mark.usefixtures("two_files")
def test_up_writes_json_lines_that_end_with_the_result(dbmigrate):
    """Machines read them as they come."""
    ended = dbmigrate("up", "--output", "json")
    names = [each["event"] for each in ended.events]
    assert names.count("migrationStarted") == names.count("migrationCompleted") == 2
    assert names[-1] == "result"
    result = ended.result
    assert (result.outcome, result.exit_code, ended.code) == (Outcome.SUCCEEDED, 0, 0)
    assert (result.current_version, result.pending) == ("1.1.0", 0)
    assert result.database_known


@pytest.mark.usefixtures("two_files")
def test_the_result_names_the_source_that_it_was_made_from(database, dbmigrate):
    """Its digest is what the operator computes from the ConfigMaps."""
    digest = read_source([database.folder]).digest
    assert dbmigrate("status", "--output", "json").result.source_digest == digest


@pytest.mark.usefixtures("two_files")
def test_plan_prints_the_hash_that_up_accepts(database, dbmigrate):
    """What was looked at is what runs."""
    ended = dbmigrate("plan")
    assert ended.code == 0
    assert not database.has("public.schema_migrations")
    plan_hash = ended.out.split("PLAN ")[1].strip()
    assert dbmigrate("plan", "--output", "json").result.plan.hash == plan_hash
    assert dbmigrate("up", "--expect-plan", plan_hash).code == 0


@pytest.mark.usefixtures("two_files")
def test_up_refuses_another_plan_than_expected(database, dbmigrate):
    """Exit code 3, nothing touched."""
    ended = dbmigrate("up", "--expect-plan", "0" * 64, "--output", "json")
    assert ended.code == 3
    assert ended.result.failure.code == "PlanChanged"
    assert not database.has("public.users")


@pytest.mark.usefixtures("two_files")
def test_another_source_than_expected_is_refused_before_connecting(dbmigrate):
    """The files are being replaced: the same run may succeed a moment later."""
    dead = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}
    ended = dbmigrate("up", "--expect-source", "0" * 64, "--output", "json", env=dead)
    assert ended.code == 3
    assert ended.result.failure.code == "SourceChanged"
    assert ended.result.failure.transient
    assert ended.result.outcome is Outcome.BLOCKED


@pytest.mark.usefixtures("two_files")
def test_down_and_to_go_back_and_forward(database, dbmigrate):
    """`down` undoes what is after the version, `to` goes either way, `down 0` undoes all."""
    dbmigrate("up")
    assert "1 migration rolled back" in dbmigrate("down", "1.0.0").out
    assert "current version 1.1.0" in dbmigrate("to", "v1.1.0").out
    assert "current version none" in dbmigrate("down", "0").out
    assert not database.has("public.users")


@pytest.mark.usefixtures("two_files")
def test_a_failed_file_is_told_with_place_excerpt_and_the_servers_words(database, dbmigrate):
    """And with what was done before it; exit code 1."""
    database.write("v1.2.0_broken.sql", "select 1;\nselect 2;\nselect nowhere.column_x;\n")
    ended = dbmigrate("up")
    assert ended.code == 1
    assert "v1.2.0_broken.sql:3:8" in ended.err
    assert "select nowhere.column_x" in ended.err
    assert "^" in ended.err
    assert "SQLSTATE 42P01" in ended.err
    assert "2 files done before that; current version 1.1.0, 1 pending" in ended.err


@pytest.mark.usefixtures("two_files")
def test_an_edited_file_is_told_with_both_sums(database, dbmigrate):
    """Exit code 3."""
    dbmigrate("up")
    before = read_source([database.folder]).migrations[0].checksum
    database.write("v1.0.0_users.sql", "create table users (id bigint primary key);\n")
    after = read_source([database.folder]).migrations[0].checksum
    ended = dbmigrate("up")
    assert ended.code == 3
    assert before in ended.err
    assert after in ended.err
    assert "what to do: restore the file" in ended.err


@pytest.mark.usefixtures("two_files")
def test_validate_finds_a_syntax_error_without_running_anything(database, dbmigrate):
    """Exit code 2, with its line."""
    database.write("v1.2.0_typo.sql", "create table x (id int);\ncreat table y (id int);\n")
    ended = dbmigrate("validate")
    assert ended.code == 2
    assert "v1.2.0_typo.sql:2:1" in ended.err
    assert not database.has("public.users")


@pytest.mark.usefixtures("two_files")
def test_check_fails_when_the_data_break_a_rule(database, dbmigrate):
    """Exit code 1, the check's name and its severity in a table."""
    dbmigrate("up")
    database.connection.execute("insert into users values (1, 'a'), (2, 'a')")
    unique = {"table": "users", "columns": ["name"]}
    checks = {"integrityChecks": [{"name": "one_name", "severity": "critical", "unique": unique}]}
    database.write("checks.yaml", json.dumps(checks))
    ended = dbmigrate("check")
    assert ended.code == 1
    assert "one_name" in ended.out
    assert "INTEGRITY 1 critical" in ended.out
    database.connection.execute("delete from users")
    assert dbmigrate("check").code == 0


def test_check_without_a_list_is_an_error(dbmigrate):
    """Nothing was checked, so nothing is said to be well."""
    assert dbmigrate("check").code == 2


@pytest.mark.usefixtures("two_files")
def test_options_may_stand_before_and_after_the_command(dbmigrate):
    """What stands after it rules."""
    before = dbmigrate("--output", "json", "--environment", "one", "status")
    assert before.result.environment == "one"
    both = dbmigrate("--output", "json", "--environment", "one", "status", "--environment", "two")
    assert both.result.environment == "two"


@pytest.mark.usefixtures("two_files")
def test_options_may_be_environment_variables(database, dbmigrate):
    """DBMIGRATE_ and the option's name."""
    env = {
        "DBMIGRATE_OUTPUT": "json", "DBMIGRATE_TARGET": "1.0.0", "DBMIGRATE_APPLIED_BY": "ci",
        "GITHUB_SHA": "abc123", "DBMIGRATE_ENVIRONMENT": "staging",
    }  # fmt: skip
    assert dbmigrate("up", env=env).result.current_version == "1.0.0"
    row = database.rows("select applied_by, git_commit_hash, environment from schema_migrations")
    assert row == [("ci", "abc123", "staging")]


@pytest.mark.usefixtures("two_files")
def test_the_connection_may_come_from_an_environments_file(database, dbmigrate, tmp_path):
    """With ${VAR} from the process; rules that are not enforced are told."""
    folder = tmp_path / "config" / "environments"
    folder.mkdir(parents=True)
    (folder / "staging.env").write_text(
        f"DB_HOST=127.0.0.1\nDB_PORT={database.server.port}\nDB_NAME={database.name}\n"
        "DB_USER=${WHO}\nBACKUP_ENABLED=true\n"
    )
    env = {"DATABASE_URL": "", "WHO": "postgres"}
    ended = dbmigrate("status", "--environment", "staging", env=env)
    assert ended.code == 0
    assert "staging.env" in ended.out
    assert "BACKUP_ENABLED=true is not enforced by this release" in ended.err


def test_debug_queries_shows_each_statements_first_line(database, dbmigrate):
    """The line in the file with it; the rest of the statement may be long."""
    database.write("v1.0.0_a.sql", "create table a (\n  secret_column int\n);\nselect 17;\n")
    ended = dbmigrate("up", env={"DEBUG_QUERIES": "true"})
    assert "v1.0.0_a.sql:1 statement 1/2: create table a (" in ended.out
    assert "v1.0.0_a.sql:4 statement 2/2: select 17" in ended.out
    assert "secret_column" not in ended.out


@pytest.mark.usefixtures("two_files")
def test_the_connection_may_come_from_a_secrets_folder(dbmigrate, tmp_path):
    """As it is mounted."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "uri").write_text(dbmigrate.uri + "\n")
    ended = dbmigrate("status", "--database-secret", "secret", env={"DATABASE_URL": ""})
    assert ended.code == 0
    assert "from Secret folder secret" in ended.out


@pytest.mark.usefixtures("two_files")
def test_the_connection_may_come_from_libpqs_variables(database, dbmigrate):
    """As for psql."""
    env = {
        "DATABASE_URL": "", "PGHOST": "127.0.0.1", "PGPORT": str(database.server.port),
        "PGUSER": "postgres", "PGDATABASE": database.name,
    }  # fmt: skip
    ended = dbmigrate("up", env=env)
    assert ended.code == 0
    assert len(database.history()) == 2


@pytest.mark.usefixtures("two_files")
def test_an_unreachable_database_is_exit_code_5_without_its_password(dbmigrate):
    """Text and JSON, standard output and error."""
    env = {"DATABASE_URL": "postgresql://me:s3cret-Pass@127.0.0.1:1/x"}
    for form in ("text", "json"):
        ended = dbmigrate("up", "--output", form, "-v", env=env)
        assert ended.code == 5
        assert "s3cret-Pass" not in ended.out + ended.err
        assert "127.0.0.1" in ended.out + ended.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["stat"], "No such command"),
        (["up", "--targe", "1.0.0"], "No such option"),
        (["up", "--target", "1.x"], "expected MAJOR.MINOR.PATCH"),
        (["up", "--lock-timeout", "soon"], "not a duration"),
        (["down"], "Missing argument"),
        (["wait"], "--version"),
        (["up", "--output", "xml"], "xml"),
        (["up", "--source", "nowhere"], "nowhere"),
        (["up", "--database", "postgresql://me:pw@h/x"], "--database holds a password"),
        (["up", "--environment", "../x"], "cannot name an environment"),
        (["up", "--source", ""], "it is empty"),
        (["up", "--resource-generation", str(2**63)], "not in the range"),
    ],
)
def test_a_usage_error_is_exit_code_2_in_our_form(dbmigrate, arguments, text):
    """One sentence, its code, what to do; with JSON the last line is the result."""
    ended = dbmigrate(*arguments)
    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert text in ended.err
    if "xml" not in arguments:
        as_json = dbmigrate(*arguments, "--output", "json")
        assert as_json.code == 2
        assert as_json.result.outcome is Outcome.BLOCKED
        assert text in as_json.result.failure.message


@pytest.mark.usefixtures("two_files")
def test_the_termination_message_is_written_whatever_the_outcome(dbmigrate, tmp_path):
    """A success, a refusal, and an option that does not exist."""
    file = tmp_path / "termination-log"
    for arguments, code in ((["up"], 0), (["to", "9.9.9"], 2), (["up", "--nonsense"], 2)):
        file.write_text("x" * 5000)
        assert dbmigrate(*arguments, "--termination-message", file).code == code
        data = file.read_bytes()
        assert len(data) <= TERMINATION_MESSAGE_LIMIT
        assert parse_result(data.decode()).exit_code == code


@pytest.mark.usefixtures("two_files")
def test_a_termination_message_that_cannot_be_written_does_not_fail_the_run(dbmigrate):
    """What was done is done; a warning is enough."""
    ended = dbmigrate("up", "--termination-message", "/nowhere/x")
    assert ended.code == 0
    assert "termination message cannot be written" in ended.err


@pytest.mark.usefixtures("two_files")
def test_a_stop_file_stops_the_run_with_its_reason(database, dbmigrate, tmp_path):
    """Exit code 6; an empty file means nothing, as a missing annotation does."""
    file = tmp_path / "stop"
    file.write_text("suspended by Ann\n")
    ended = dbmigrate("up", "--stop-file", file, "--output", "json")
    assert ended.code == 6
    assert ended.result.outcome is Outcome.STOPPED
    assert "suspended by Ann" in ended.result.message
    assert not database.has("public.users")
    file.write_text("")
    assert dbmigrate("up", "--stop-file", file).code == 0


@pytest.mark.usefixtures("two_files")
def test_status_shows_a_failed_attempt_until_something_succeeds(database, dbmigrate):
    """With its time, its place and its reason; the file may have been mended since."""
    database.write("v1.2.0_broken.sql", "select 1;\nselect nowhere.column_x;\n")
    dbmigrate("up", "--applied-by", "ann")
    ended = dbmigrate("status")
    assert ended.code == 0
    row = next(line for line in ended.out.splitlines() if line.startswith("1.2.0"))
    (failed_at,) = database.rows(
        "select to_char(applied_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') "
        "from schema_migrations where status = 'failed'"
    )[0]
    assert row.split() == ["1.2.0", "v1.2.0_broken.sql", "failed", *failed_at.split(), "ann"]
    assert f"LAST ATTEMPT failed at {failed_at} UTC: v1.2.0_broken.sql: statement 2 " in ended.out
    assert "(line 2) [MigrationFailed, 42P01]" in ended.out
    told = dbmigrate("status", "--output", "json").result
    assert (told.last_failure.version, told.last_failure.sqlstate) == ("1.2.0", "42P01")
    assert told.pending_versions == ("1.2.0",)
    database.write("v1.2.0_broken.sql", "select 1;\n")
    assert dbmigrate("up", "--output", "json").result.last_failure is None
    assert "LAST ATTEMPT" not in dbmigrate("status").out


@pytest.mark.usefixtures("two_files")
def test_status_names_what_is_applied_but_not_in_the_source(database, dbmigrate):
    """The database is ahead, or a file was lost: nothing pending is not all well then."""
    dbmigrate("up")
    (database.folder / "v1.1.0_names.sql").unlink()
    (database.folder / "rollbacks" / "v1.1.0_rollback.sql").unlink()
    out = dbmigrate("status").out
    assert "v1.1.0_names.sql  applied, not in the source" in out
    assert "v1.0.0_users.sql  applied  " in out


def test_a_source_without_migrations_is_a_warning(dbmigrate):
    """`Nothing to do` in a wrong folder reads as if all were well."""
    ended = dbmigrate("up")
    assert ended.code == 0
    assert "warning: there is no migration in migrations" in ended.err


@pytest.mark.usefixtures("two_files")
def test_help_and_version_need_no_database(dbmigrate):
    """Nor a source."""
    assert "Commands that change the database" in dbmigrate("--help").out
    assert dbmigrate("--version").out.startswith("dbmigrate, version ")
    for command in ("up", "down", "to", "status", "plan", "validate", "check", "wait"):
        ended = dbmigrate(command, "--help")
        assert ended.code == 0
        assert f"\n    dbmigrate {command}" in ended.out  # the example, in lines of its own


def test_a_usage_error_does_not_load_what_it_does_not_need(dbmigrate):
    """A misspelt option is told at once; so are help and version."""
    for arguments in (["up", "--targe"], ["--help"], ["--version"]):
        env = {"PYTHONPROFILEIMPORTTIME": "1"}
        ended = dbmigrate(*arguments, env=env)
        assert "dbmigrate.cli.main" in ended.err
        for name in ("psycopg", "pydantic", "yaml", "rich", "dotenv"):
            assert f" {name}\n" not in ended.err
