"""The database itself, beside a pooled connection."""

import pytest

from dbmigrate.cli.options.merged import Common
from dbmigrate.cli.settings.resolving import resolve
from dbmigrate.errors import UsageError

POOLED = "postgresql://app:s3cret@pooler:6432/exams?sslmode=require"


@pytest.fixture
def common(tmp_path):
    """Common options; what is given replaces the defaults."""

    def make(**values):
        fields = dict.fromkeys(Common.__dataclass_fields__)
        return Common(**(fields | {"config": tmp_path, "typed": frozenset()} | values))

    return make


def address(found):
    """Host, port, name and user."""
    params = found.connection.params
    return tuple(params.get(key) for key in ("host", "port", "dbname", "user"))


@pytest.fixture
def secret(tmp_path):
    """Writes a Secret's folder."""

    def write(**keys):
        folder = tmp_path / "secret"
        folder.mkdir()
        for name, value in keys.items():
            (folder / name.replace("_", "-")).write_text(value)
        return folder

    return write


@pytest.fixture
def file(tmp_path):
    """Writes an environment's file."""

    def write(text):
        folder = tmp_path / "environments"
        folder.mkdir()
        (folder / "staging.env").write_text(text)

    return write


def test_what_the_direct_one_leaves_open_is_the_pooled_ones(common):
    """User, password, name and TLS; but nothing of its address."""
    found = resolve(
        common(direct_database="postgresql://primary"),
        {"DATABASE_URL": POOLED + "&hostaddr=10.0.0.1"},
    )
    assert found.connection.params == {
        "host": "primary", "user": "app", "password": "s3cret", "dbname": "exams",
        "sslmode": "require",
    }  # fmt: skip
    assert found.connection.origin == "DBMIGRATE_DIRECT_DATABASE"


def test_the_option_says_what_it_is_called(common):
    """It was typed."""
    options = common(direct_database="host=primary", typed=frozenset({"direct_database"}))
    assert resolve(options, {"DATABASE_URL": POOLED}).connection.origin == "--direct-database"


def test_it_is_enough_by_itself(common):
    """No other source names a database."""
    assert address(resolve(common(direct_database="postgresql://me@primary/exams"), {})) == (
        "primary", None, "exams", "me",
    )  # fmt: skip


def test_a_password_that_was_typed_is_refused(common):
    """As it is in --database; and not repeated."""
    options = common(
        direct_database="postgresql://me:s3cret@primary/x", typed=frozenset({"direct_database"})
    )
    with pytest.raises(UsageError, match="--direct-database holds a password") as raised:
        resolve(options, {"DATABASE_URL": POOLED})
    assert raised.value.error_code == "PasswordOnCommandLine"
    assert "s3cret" not in str(raised.value) + raised.value.hint


def test_a_url_of_its_own_beside_the_pooled_url(common):
    """It belongs to that one."""
    process = {"DATABASE_URL": POOLED, "DIRECT_DATABASE_URL": "postgresql://primary:5433"}
    found = resolve(common(), process)
    assert address(found) == ("primary", "5433", "exams", "app")
    assert found.connection.origin == "DATABASE_URL, DIRECT_DATABASE_URL"


@pytest.mark.parametrize(
    "values",
    [
        {"database": "postgresql://elsewhere/other", "typed": frozenset({"database"})},
        {"database": "postgresql://elsewhere/other"},
    ],
)
def test_one_that_belongs_to_another_source_is_never_taken(common, values):
    """Or the wrong database would be migrated."""
    process = {"DATABASE_URL": POOLED, "DIRECT_DATABASE_URL": "postgresql://primary"}
    assert address(resolve(common(**values), process))[:3] == ("elsewhere", None, "other")


def test_a_secrets_key(common, secret):
    """Its other keys fill what it leaves open."""
    folder = secret(uri=POOLED, direct_uri="postgresql://primary:5432\n", user="other")
    found = resolve(common(database_secret=folder), {"DIRECT_DATABASE_URL": "postgresql://no"})
    assert address(found) == ("primary", "5432", "exams", "app")
    assert found.connection.origin == f"Secret folder {folder}, key direct-uri"


def test_a_secret_with_the_direct_one_alone(common, secret):
    """There is no pooler, or nobody tells of it."""
    folder = secret(direct_uri="postgresql://primary/exams", user="me")
    assert address(resolve(common(database_secret=folder), {})) == ("primary", None, "exams", "me")


def test_a_secrets_broken_key_names_itself(common, secret):
    """And shows no part of it."""
    folder = secret(uri=POOLED, direct_uri="postgresql://me:s3cret@primary:no/x")
    with pytest.raises(UsageError, match="direct-uri") as raised:
        resolve(common(database_secret=folder), {})
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("DB_DIRECT_HOST=primary\nDB_DIRECT_PORT=5433\n", ("primary", "5433")),
        ("DB_DIRECT_HOST=primary\n", ("primary", None)),
        ("DB_DIRECT_PORT=5433\n", ("pooler", "5433")),
    ],
)
def test_an_environments_keys(common, file, keys, expected):
    """A host, a port on the same host, or both."""
    file("DB_HOST=pooler\nDB_PORT=6432\nDB_NAME=exams\nDB_USER=app\n" + keys)
    found = resolve(common(environment="staging"), {"DB_DIRECT_HOST": "no"})
    assert address(found) == (*expected, "exams", "app")
    assert found.warnings == ()


def test_a_port_that_is_none_is_refused(common, file):
    """With its line."""
    file("DB_HOST=pooler\nDB_DIRECT_PORT=x\n")
    with pytest.raises(UsageError, match=r"staging\.env:2: DB_DIRECT_PORT is not a number"):
        resolve(common(environment="staging"), {})


def test_the_processs_keys(common):
    """As an environment's file has them."""
    process = {"DB_HOST": "pooler", "DB_PORT": "6432", "DB_DIRECT_HOST": "primary"}
    assert address(resolve(common(), process))[:2] == ("primary", None)
