"""An environment's file gives the connection and its rules, or says with its line why not."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbmigrate.cli.settings.environment_file import check_name, read_environment_file
from dbmigrate.cli.settings.environment_keys import read_process
from dbmigrate.errors import UsageError

PASSWORD = "s3cret-Pass"


@pytest.fixture
def write(tmp_path):
    """Write the file and give its path."""

    def put(text):
        path = tmp_path / "staging.env"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return put


def fault(path, process=None):
    """The error of a file that is not usable."""
    with pytest.raises(UsageError) as caught:
        read_environment_file(path, process or {})
    return caught.value


def test_the_source_documents_file_is_read(write):
    """All of its keys, with comments, blank lines and a variable of the process."""
    path = write(
        "# config/environments/staging.env\n\nDB_HOST=db.staging.example\nDB_PORT=5432\n"
        "DB_NAME=exams_staging\nDB_USER=staging_user\nDB_PASSWORD=${STAGING_DB_PASSWORD}\n"
        "DB_POOL_SIZE=15\nDB_TIMEOUT=10000\nMIGRATION_AUTO_APPLY=false\n"
        "MIGRATION_REQUIRE_APPROVAL=true\nBACKUP_ENABLED=true\nBACKUP_VERIFICATION=true\n"
        "DEBUG_QUERIES=true\nAUDIT_LOGGING=false\n"
    )
    found = read_environment_file(path, {"STAGING_DB_PASSWORD": PASSWORD})
    assert found.params == {
        "host": "db.staging.example", "port": "5432", "dbname": "exams_staging",
        "user": "staging_user", "password": PASSWORD,
    }  # fmt: skip
    assert found.connect_timeout == 10.0
    assert found.flag("DEBUG_QUERIES") is True
    assert found.flag("AUDIT_LOGGING") is False
    assert PASSWORD not in repr(found)


@pytest.mark.parametrize("process", [{}, {"STAGING_DB_PASSWORD": ""}], ids=["unset", "empty"])
def test_a_variable_without_a_value_is_an_error(write, process):
    """An empty password, silently, would lead somewhere else; file, line and name are told."""
    path = write("# a comment\nDB_HOST=h\n\n\nDB_PASSWORD=${STAGING_DB_PASSWORD}\n")
    error = fault(path, process)
    assert f"{path}:5" in error.message
    assert "STAGING_DB_PASSWORD" in error.message
    assert error.location.line == 5


def test_a_default_serves_where_the_variable_is_not_set(write):
    """As in a shell: ${VAR:-default}."""
    path = write("DB_HOST=${HOST_HERE:-localhost}\n")
    assert read_environment_file(path, {}).params["host"] == "localhost"
    assert read_environment_file(path, {"HOST_HERE": "db"}).params["host"] == "db"


def test_in_single_quotes_nothing_is_replaced(write):
    """As in a shell: a password may hold ${."""
    path = write("DB_PASSWORD='a${B}c'\n")
    assert read_environment_file(path, {"B": "x"}).params["password"] == "a${B}c"


def test_a_dollar_sign_alone_is_a_dollar_sign(write):
    """Only ${…} is replaced."""
    assert read_environment_file(write("DB_PASSWORD=a$b$c\n"), {"b": "x"}).params == {
        "password": "a$b$c"
    }


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("DB_HOTS=h", "DB_HOTS"),
        ("db_host=h", "db_host"),
        ("DB_HOST", "KEY=VALUE"),
        ("what is this", "KEY=VALUE"),
        ("=5", "KEY=VALUE"),
        ('DB_HOST="open', "KEY=VALUE"),
        ("DB_PORT=abc", "DB_PORT"),
        ("DB_PORT=0", "DB_PORT"),
        ("DB_PORT=65536", "DB_PORT"),
        ("DB_PORT=-1", "DB_PORT"),
        ("DB_PORT=" + "9" * 100_000, "DB_PORT"),
        ("DB_TIMEOUT=10s", "DB_TIMEOUT"),
        ("DB_TIMEOUT=0", "DB_TIMEOUT"),
        ("DB_POOL_SIZE=many", "DB_POOL_SIZE"),
        ("MIGRATION_LOCK_TIMEOUT=soon", "MIGRATION_LOCK_TIMEOUT"),
        ("MIGRATION_LOCK_TIMEOUT=8d", "MIGRATION_LOCK_TIMEOUT"),
        ("MIGRATION_LOCK_RETRIES=-1", "MIGRATION_LOCK_RETRIES"),
        ("MIGRATION_LOCK_RETRIES=2s", "MIGRATION_LOCK_RETRIES"),
        ("DB_HOST=", "DB_HOST"),
        ("DB_PASSWORD=", "DB_PASSWORD"),
        ("BACKUP_ENABLED=maybe", "BACKUP_ENABLED"),
        ("BACKUP_ENABLED=", "BACKUP_ENABLED"),
        ("DB_USER=twice", "DB_USER"),
    ],
    ids=lambda value: value[:20],
)
def test_a_wrong_line_is_told_with_its_number(write, line, part):
    """Unknown and doubled keys, no KEY=VALUE, values that do not fit."""
    path = write(f"# the third line is wrong\nDB_USER=u\n{line}\n")
    error = fault(path)
    assert f"{path}:3" in error.message
    assert part in error.message
    assert len(error.message) < 1000


@pytest.mark.parametrize(
    "data",
    [b"DB_HOST=caf\xe9\n", "DB_HOST=h\n".encode("utf-16"), b"\x00\xff" * 100],
    ids=["latin-1", "utf-16", "binary"],
)
def test_a_file_that_is_not_utf8_is_refused_and_not_shown(write, data):
    """It is told to be no text; its bytes may be a key's."""
    error = fault(write(data))
    assert error.error_code == "BadEncoding"
    assert "\\x" not in error.message


def test_a_byte_order_mark_does_not_hide_the_first_key(write):
    """Windows' editor writes one."""
    path = write(b"\xef\xbb\xbfDB_HOST=h\r\nDB_PORT=5432\r\n")
    assert read_environment_file(path, {}).params == {"host": "h", "port": "5432"}


def test_a_huge_file_is_refused(write):
    """It is something else."""
    assert fault(write(b"#" * (2 << 20))).error_code == "UnreadableFile"


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/"])
def test_what_is_no_regular_file_is_refused(tmp_path, path):
    """A device never ends, a folder cannot be read."""
    link = tmp_path / "staging.env"
    link.symlink_to(path)
    assert fault(link).error_code == "UnreadableFile"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_file_crashes_the_reader(tmp_path, data):
    """Whatever is in it, it is read or refused."""
    path = tmp_path / "any.env"
    path.write_bytes(data)
    try:
        read_environment_file(path, {})
    except UsageError as error:
        assert str(path) in error.message  # noqa: PT017 -- either is right


@pytest.mark.parametrize("name", ["production", "eu-1", "test_2", "x"])
def test_a_name_of_an_environment(name):
    """What the installation calls its environments."""
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "../etc/passwd", "a/b", "Production", ".", "-x", "a" * 64])
def test_a_name_that_would_leave_the_folder_is_refused(name):
    """It becomes part of a path."""
    with pytest.raises(UsageError, match="cannot name an environment"):
        check_name(name)


def test_the_process_has_the_same_keys():
    """Empty ones count as not set there: a shell cannot unset for a child easily."""
    found = read_process({"DB_HOST": "h", "DB_PASSWORD": "", "DB_TIMEOUT": "1500", "PATH": "/"})
    assert found.params == {"host": "h"}
    assert found.connect_timeout == 1.5


def test_a_port_that_kubernetes_set_is_explained():
    """A Service named db puts tcp://… into DB_PORT of every pod beside it."""
    with pytest.raises(UsageError) as caught:
        read_process({"DB_PORT": "tcp://10.0.0.1:5432"})
    assert "enableServiceLinks" in caught.value.hint
