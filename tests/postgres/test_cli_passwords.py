"""No password is ever printed, wherever it comes from and whatever goes wrong."""

import pytest
from command_line import CommandLine

pytestmark = pytest.mark.one_version

SECRET = "hunter22"


@pytest.fixture
def dbmigrate(database, tmp_path):
    """The command line, with one migration and no database named."""
    database.write("v1.0.0_a.sql", "select 1;\n")
    runner = CommandLine(database, tmp_path)
    del runner.env["DATABASE_URL"]
    return runner


@pytest.fixture
def files(tmp_path):
    """A password file, a service file, an environment's file and a Secret."""
    (tmp_path / "pgpass").write_text(f"127.0.0.1:*:*:*:{SECRET}\n")
    (tmp_path / "pgpass").chmod(0o600)
    (tmp_path / "service").write_text(f"[db]\nhost=127.0.0.1\nport=1\npassword={SECRET}\n")
    (tmp_path / "config" / "environments").mkdir(parents=True)
    (tmp_path / "config" / "environments" / "test.env").write_text(
        "DB_HOST=127.0.0.1\nDB_PORT=1\nDB_PASSWORD=${PW}\n"
    )
    (tmp_path / "secret").mkdir()
    for name, text in (("host", "127.0.0.1"), ("port", "1"), ("password", SECRET)):
        (tmp_path / "secret" / name).write_text(text)
    return tmp_path


def ways(folder):
    """Each way to give a password, as arguments and environment."""
    uri = "postgresql://me@127.0.0.1:1/x"
    pair = {"PGHOST": "127.0.0.1", "PGPORT": "1"}
    return [
        ([], {"DATABASE_URL": f"postgresql://me:{SECRET}@127.0.0.1:1/x"}),
        ([], {"DATABASE_URL": "postgresql://me:hun%74er22@127.0.0.1:1/x"}),
        ([], {"DATABASE_URL": f"{uri}?password={SECRET}"}),
        ([], {"DATABASE_URL": f"{uri}?sslpassword={SECRET}"}),
        ([], {"DATABASE_URL": f"host=127.0.0.1 port=1 password={SECRET}"}),
        ([], {"DBMIGRATE_DATABASE": f"postgresql://me:{SECRET}@127.0.0.1:1/x"}),
        ([], {**pair, "PGPASSWORD": SECRET}),
        ([], {**pair, "PGPASSFILE": str(folder / "pgpass")}),
        ([], {"PGSERVICE": "db", "PGSERVICEFILE": str(folder / "service")}),
        ([], {"DB_HOST": "127.0.0.1", "DB_PORT": "1", "DB_PASSWORD": SECRET}),
        (["--environment", "test"], {"PW": SECRET}),
        (["--database-secret", "secret"], {}),
        (["--database", uri], {"PGPASSWORD": SECRET}),
    ]


def test_no_way_to_give_a_password_shows_it(dbmigrate, files):
    """The server is not there, and the error says so."""
    for arguments, env in ways(files):
        ended = dbmigrate("status", "-v", *arguments, env=env)
        assert ended.code == 5, (arguments, env, ended.err)
        assert SECRET not in ended.out + ended.err
        assert "127.0.0.1" in ended.err


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        ([], {"PGHOST": "127.0.0.1", "PGDATABASE": f"postgresql://me:{SECRET}@h/x"}),
        ([], {"DB_HOST": "127.0.0.1", "DB_NAME": f"postgresql://me:{SECRET}@h/x"}),
        ([], {"DATABASE_URL": f"host=127.0.0.1 port=1 sslmode={SECRET} password={SECRET}"}),
        ([], {"DATABASE_URL": f"postgresql://me:{SECRET}@127.0.0.1:1/x?nonsense={SECRET}"}),
        ([], {"DATABASE_URL": f"postgresql://me:1/{SECRET}@127.0.0.1/x%40"}),
        (["--database", f"postgresql://me:{SECRET}@h/x"], {}),
        (["--source", f"postgresql://me:{SECRET}@h/x"], {}),
        (["--config", f"postgresql://me:{SECRET}@h/x", "--environment", "x"], {}),
        (["--database-secret", f"postgresql://me:{SECRET}@h/x"], {}),
        (["--environment", f"postgresql://me:{SECRET}@h/x"], {}),
        (["--lock-timeout", f"postgresql://me:{SECRET}@h/x"], {}),
        (["--databse", f"postgresql://me:{SECRET}@h/x"], {}),
        ([f"--databse=postgresql://me:{SECRET}@h/x"], {}),
        ([f"postgresql://me:{SECRET}@h/x"], {}),
    ],
)
def test_a_password_in_a_wrong_place_is_not_shown_either(dbmigrate, arguments, env):
    """A URI typed where none belongs, or read as another part of the connection."""
    for form in ("text", "json"):
        ended = dbmigrate("status", "-v", "--output", form, *arguments, env=env)
        assert ended.code in (2, 5)
        assert SECRET not in ended.out + ended.err


@pytest.mark.parametrize(
    "env",
    [
        {"PGSERVICE": "nowhere"},
        {"PGHOST": "127.0.0.1", "PGPORT": "five"},
        {"PGHOST": "127.0.0.1", "PGSSLMODE": "maybe"},
        {"PGTZ": "Nowhere/Land"},
        {"PGOPTIONS": "--nonsense"},
    ],
)
def test_a_wrong_setting_of_the_connection_is_called_that(database, dbmigrate, env):
    """No waiting mends it: who reads the error looks at the variable, not at the server."""
    server = {"PGHOST": "127.0.0.1", "PGPORT": str(database.server.port), "PGUSER": "postgres"}
    ended = dbmigrate("status", env={**server, "PGDATABASE": database.name, **env})
    assert ended.code == 5
    assert "[ConnectionSettingInvalid]" in ended.err
    assert "what to do: correct that setting" in ended.err


@pytest.mark.parametrize("password", ["1", "a", "er", "127", "connection"])
def test_a_short_password_does_not_mangle_the_message(dbmigrate, password):
    """Which host it is stays readable."""
    env = {"DATABASE_URL": f"postgresql://me:{password}@127.0.0.1:1/x"}
    ended = dbmigrate("status", env=env)
    assert 'connection to server at "127.0.0.1", port 1 failed: Connection refused' in ended.err
    assert "***" not in ended.err
