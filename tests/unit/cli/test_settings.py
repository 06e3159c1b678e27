"""Where the connection comes from: one order, told and tested."""

from pathlib import Path

import pytest

from dbmigrate.cli.options.merged import Common
from dbmigrate.cli.settings.resolving import resolve
from dbmigrate.errors import UsageError
from dbmigrate.postgres.executing.retrying import LOCK_TIMEOUT, RETRIES, TIME_LIMIT

PASSWORD = "s3cret-Pass"


@pytest.fixture
def places(tmp_path):
    """A Secret's folder and an environment's file, each with a host of its own."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "host").write_text("secret-host\n")
    (tmp_path / "config" / "environments").mkdir(parents=True)
    (tmp_path / "config" / "environments" / "staging.env").write_text(
        "DB_HOST=file-host\nDB_TIMEOUT=2500\n"
    )
    (tmp_path / "config" / "environments" / "patient.env").write_text(
        "MIGRATION_LOCK_TIMEOUT=1500ms\nMIGRATION_LOCK_RETRIES=40\n"
        "MIGRATION_LOCK_RETRY_TIMEOUT=1h\n"
    )
    return tmp_path


@pytest.fixture
def common(places):
    """Common options; what is given replaces the defaults."""

    def make(**values):
        fields = dict.fromkeys(Common.__dataclass_fields__)
        fields |= {"config": places / "config", "typed": frozenset()} | values
        return Common(**fields)

    return make


ALL = {"DATABASE_URL": "postgresql://url-host/x", "DB_HOST": "process-host", "PGHOST": "pg-host"}


def host_of(common, process):
    """Host and origin of what was found."""
    found = resolve(common, process).connection
    return found.params.get("host"), found.origin


def test_an_option_rules_over_everything(common):
    """What was typed is what is meant."""
    options = common(
        database="postgresql://option-host/x", typed=frozenset({"database"}), environment="staging"
    )
    assert host_of(options, ALL) == ("option-host", "--database")


def test_a_secrets_folder_rules_over_the_environment(common, places):
    """It is an option too."""
    options = common(database_secret=places / "secret", environment="staging")
    assert host_of(options, ALL) == ("secret-host", f"Secret folder {places / 'secret'}")


def test_both_options_are_an_error(common, places):
    """Nobody can tell which is meant."""
    with pytest.raises(UsageError, match="both --database and --database-secret"):
        resolve(common(database="postgresql://h/x", database_secret=places / "secret"), {})


def test_database_url_rules_over_the_environments_file(common):
    """And it is told that the file is not used."""
    settings = resolve(common(environment="staging"), ALL)
    assert settings.connection.params["host"] == "url-host"
    assert any("staging.env" in text and "DATABASE_URL" in text for text in settings.warnings)


def test_the_environments_file_rules_over_the_process(common, places):
    """Its name was typed; DB_HOST lies around."""
    del_url = {key: value for key, value in ALL.items() if key != "DATABASE_URL"}
    path = places / "config" / "environments" / "staging.env"
    assert host_of(common(environment="staging"), del_url) == ("file-host", str(path))


def test_db_variables_rule_over_libpqs(common):
    """DB_HOST before PGHOST."""
    process = {"DB_HOST": "process-host", "PGHOST": "pg-host"}
    assert host_of(common(), process) == ("process-host", "DB_* variables")


@pytest.mark.parametrize("name", ["PGHOST", "PGDATABASE", "PGSERVICE", "PGHOSTADDR"])
def test_libpqs_variables_come_last(common, name):
    """They are read by libpq itself."""
    assert host_of(common(), {name: "x"}) == (None, "PG* variables")


@pytest.mark.parametrize("process", [{}, {"DATABASE_URL": "", "PGHOST": ""}, {"PGUSER": "me"}])
def test_without_any_name_of_a_database_nothing_is_guessed(common, process):
    """A default of libpq would be the local socket and the user's name."""
    with pytest.raises(UsageError) as caught:
        resolve(common(), process)
    assert caught.value.error_code == "NoDatabase"


@pytest.mark.parametrize(
    "uri",
    [
        f"postgresql://me:{PASSWORD}@h/x",
        f"host=h dbname=x password={PASSWORD}",
        f"postgresql://h/x?password={PASSWORD}",
        f"postgresql://h/x?sslpassword={PASSWORD}",
    ],
)
def test_a_password_on_the_command_line_is_refused(common, uri):
    """`ps` shows it to everybody; the message does not show it again."""
    with pytest.raises(UsageError) as caught:
        resolve(common(database=uri, typed=frozenset({"database"})), {})
    assert caught.value.error_code == "PasswordOnCommandLine"
    assert "PGPASSWORD" in caught.value.hint
    assert PASSWORD not in f"{caught.value.message}{caught.value.hint}"


def test_a_password_in_the_options_variable_is_fine(common):
    """DBMIGRATE_DATABASE is not seen by other users."""
    options = common(database=f"postgresql://me:{PASSWORD}@h/x")
    settings = resolve(options, {})
    assert settings.connection.params["password"] == PASSWORD
    assert PASSWORD not in repr(settings)


@pytest.mark.parametrize(
    "uri",
    [
        f"postgresql://me:{PASSWORD}%zz@h/x",
        f"postgresql://me:x@{PASSWORD}@h/x",
        f"postgresql://me:x/{PASSWORD}@h/x",
        f"postgresql://me:x@h:{PASSWORD}/x",
        f"postgresql+psycopg://me:{PASSWORD}@h/x",
        f"jdbc:postgresql://h/x?password={PASSWORD}",
        f"host=h password='{PASSWORD}",
        f"postgresql://h/x?{PASSWORD}=1",
        f"postgresql://[{PASSWORD}/x",
        PASSWORD,
        "mysql://h/x",
        "\0",
        " ",
    ],
)
def test_a_broken_uri_is_told_without_being_shown(common, uri):
    """The message of libpq quotes what it stumbled over: a part of the password."""
    with pytest.raises(UsageError) as caught:
        resolve(common(), {"DATABASE_URL": uri})
    assert caught.value.error_code == "InvalidDatabaseUri"
    assert PASSWORD not in f"{caught.value.message}{caught.value.hint}"
    assert caught.value.__cause__ is None
    assert "DATABASE_URL" in caught.value.message


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://us%40er:12/hunter22@h/x",
        "postgresql://me:12?hunter22@h/x",
        "postgresql://me:12/hunter22@h",
        "postgresql://me:hun@ter22@h/x",
    ],
)
def test_a_password_that_ends_the_host_is_not_read_as_another_part(common, uri):
    """Else it would be shown as the database's name."""
    with pytest.raises(UsageError) as caught:
        resolve(common(), {"DATABASE_URL": uri})
    assert caught.value.error_code == "InvalidDatabaseUri"
    assert "ter22" not in caught.value.message + caught.value.hint


def test_an_at_sign_that_is_encoded_is_fine(common):
    """%40, as a URI has it."""
    settings = resolve(common(), {"DATABASE_URL": "postgresql://me:a%40b@h:5433/x%40y"})
    assert settings.connection.params == {
        "user": "me", "password": "a@b", "host": "h", "port": "5433", "dbname": "x@y",
    }  # fmt: skip


def test_a_socket_and_several_hosts_are_fine(common):
    """As libpq has them."""
    one = resolve(common(), {"DATABASE_URL": "postgresql://%2Frun%2Fpg/x"}).connection
    two = resolve(common(), {"DATABASE_URL": "postgresql://a:1,b:2/x"}).connection
    assert one.params["host"] == "/run/pg"
    assert two.params["port"] == "1,2"


def test_a_misspelt_environment_is_refused_where_others_have_files(common):
    """It would else be led to whatever PGHOST names."""
    with pytest.raises(UsageError) as caught:
        resolve(common(environment="stagign"), {"PGHOST": "h"})
    assert caught.value.error_code == "UnknownEnvironment"
    assert "staging" in caught.value.hint


def test_an_environment_without_a_folder_of_files_is_only_a_name(common):
    """As in a Job, whose database comes from a Secret."""
    options = common(environment="production", config=Path("/nowhere"))
    assert host_of(options, {"PGHOST": "h"}) == (None, "PG* variables")


def test_the_connect_timeout_is_the_options_then_the_uris_then_the_files_then_the_process(common):
    """Seconds; DB_TIMEOUT is milliseconds."""
    uri = "postgresql://h/x?connect_timeout=7"
    env = {"DB_TIMEOUT": "1500", "PGHOST": "h"}
    option = resolve(common(database=uri, connect_timeout=3.0, environment="staging"), env)
    assert option.connect_timeout == 3.0
    assert "connect_timeout" not in option.connection.params
    assert resolve(common(database=uri, environment="staging"), env).connect_timeout == 7.0
    assert resolve(common(environment="staging"), env).connect_timeout == 2.5
    assert resolve(common(), env).connect_timeout == 1.5
    assert resolve(common(), {"PGHOST": "h"}).connect_timeout == 10.0


def test_locks_are_waited_for_as_the_option_says_then_the_file_then_the_process(common):
    """Seconds, and a number of times."""

    def waits(env, **options):
        found = resolve(common(**options), {"PGHOST": "h", **env})
        return found.lock_timeout, found.lock_retries, found.lock_retry_timeout

    process = {
        "MIGRATION_LOCK_TIMEOUT": "500ms",
        "MIGRATION_LOCK_RETRIES": "3",
        "MIGRATION_LOCK_RETRY_TIMEOUT": "2m",
    }
    default = (LOCK_TIMEOUT, RETRIES, TIME_LIMIT)
    assert waits({}) == default
    assert waits(process) == (0.5, 3, 120.0)
    assert waits(process, environment="patient") == (1.5, 40, 3600.0)
    options = {"lock_timeout": 0.0, "lock_retries": 0, "lock_retry_timeout": 0.0}
    assert waits(process, environment="patient", **options) == (0.0, 0, 0.0)


@pytest.mark.parametrize(
    ("key", "value", "is_told"),
    [
        ("MIGRATION_REQUIRE_APPROVAL", "true", True),
        ("MIGRATION_REQUIRE_APPROVAL", "false", False),
        ("MIGRATION_AUTO_APPLY", "false", True),
        ("MIGRATION_AUTO_APPLY", "true", False),
        ("BACKUP_ENABLED", "true", True),
        ("BACKUP_VERIFICATION", "true", True),
        ("AUDIT_LOGGING", "true", True),
        ("BACKUP_ENABLED", "1", True),
        ("DEBUG_QUERIES", "true", False),
    ],
)
def test_a_rule_that_is_not_enforced_is_never_silent(common, places, key, value, is_told):
    """Who believes in a backup that nobody makes loses data."""
    (places / "config" / "environments" / "staging.env").write_text(f"DB_HOST=h\n{key}={value}\n")
    from_file = resolve(common(environment="staging"), {}).warnings
    from_process = resolve(common(), {"PGHOST": "h", key: value}).warnings
    for warnings in (from_file, from_process):
        assert any(key in text and "not enforced" in text for text in warnings) is is_told


def test_the_file_rules_over_the_process_in_flags_too(common, places):
    """The environment's own word."""
    (places / "config" / "environments" / "staging.env").write_text("DEBUG_QUERIES=false\n")
    options = common(environment="staging")
    assert not resolve(options, {"PGHOST": "h", "DEBUG_QUERIES": "true"}).debug_queries
    assert resolve(common(), {"PGHOST": "h", "DEBUG_QUERIES": "true"}).debug_queries


def test_another_programs_value_is_only_a_warning(common):
    """AUDIT_LOGGING=verbose may be the application's."""
    warnings = resolve(common(), {"PGHOST": "h", "AUDIT_LOGGING": "verbose"}).warnings
    assert any("AUDIT_LOGGING" in text for text in warnings)
