"""A mounted Secret's folder becomes a connection, or an error without any of its values."""

import pytest

from dbmigrate.cli.settings.secret import read_secret
from dbmigrate.errors import UsageError

PASSWORD = "s3cret-Pass"


@pytest.fixture
def mount(tmp_path):
    """Mount keys as kubelet does: links into ..data, a link to a dated folder."""

    def put(**keys):
        folder = tmp_path / "secret"
        dated = folder / "..2026_01_01_00_00_00.1"
        dated.mkdir(parents=True)
        (folder / "..data").symlink_to(dated.name)
        for key, value in keys.items():
            name = key.replace("__", "-")
            (dated / name).write_bytes(value if isinstance(value, bytes) else value.encode())
            (folder / name).symlink_to(f"..data/{name}")
        return folder

    return put


def fault(folder):
    """The error, which never shows the password."""
    with pytest.raises(UsageError) as caught:
        read_secret(folder)
    assert PASSWORD not in f"{caught.value.message}{caught.value.hint}"
    return caught.value


def test_what_cloudnativepg_writes(mount):
    """Its uri rules; jdbc-uri and pgpass are not ours."""
    folder = mount(
        uri=f"postgresql://app:{PASSWORD}@exams-rw.shop:5432/app",
        jdbc__uri="jdbc:postgresql://exams-rw:5432/app?password=x&user=app",
        pgpass=f"exams-rw:5432:app:app:{PASSWORD}\n",
        host="exams-rw", port="5432", dbname="app", username="app", user="app", password=PASSWORD,
    )  # fmt: skip
    assert read_secret(folder) == {
        "host": "exams-rw.shop", "port": "5432", "dbname": "app", "user": "app",
        "password": PASSWORD,
    }  # fmt: skip


def test_what_servicebinding_writes(mount):
    """Here database and username, with type and provider beside them."""
    folder = mount(
        type="postgresql", provider="example", host="db", port="6432", database="exams",
        username="app", password=PASSWORD,
    )  # fmt: skip
    assert read_secret(folder) == {
        "host": "db", "port": "6432", "dbname": "exams", "user": "app", "password": PASSWORD,
    }  # fmt: skip


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_a_line_end_behind_a_value_does_not_count(mount, end):
    """`echo secret | base64` is how many are made."""
    folder = mount(host="db" + end, password=PASSWORD + end)
    assert read_secret(folder) == {"host": "db", "password": PASSWORD}


def test_blanks_belong_to_a_password(mount):
    """They are part of it."""
    assert read_secret(mount(host="db", password=" a b "))["password"] == " a b "


def test_keys_complete_a_uri(mount):
    """Whoever adds sslmode beside CloudNativePG's uri means it."""
    folder = mount(uri="postgresql://app@db/exams", sslmode="verify-full", password=PASSWORD)
    params = read_secret(folder)
    assert (params["sslmode"], params["password"], params["host"]) == (
        "verify-full", PASSWORD, "db",
    )  # fmt: skip


def test_a_certificate_is_used_from_where_it_is_mounted(mount):
    """The key holds the PEM text; libpq wants a file, and it is one."""
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    folder = mount(host="db", sslmode="verify-full", sslrootcert=pem)
    assert read_secret(folder)["sslrootcert"] == str(folder / "sslrootcert")


def test_a_certificates_path_is_taken_as_it_is(mount):
    """`system`, or a file of the image."""
    assert read_secret(mount(host="db", sslrootcert="system"))["sslrootcert"] == "system"


def test_a_missing_folder(tmp_path):
    """The mount was forgotten."""
    assert fault(tmp_path / "nowhere").error_code == "SecretNotFound"


def test_neither_uri_nor_host(mount):
    """Then libpq would connect to a local socket."""
    assert fault(mount(password=PASSWORD, user="app")).error_code == "SecretIncomplete"


@pytest.mark.parametrize("key", ["host", "password", "uri", "dbname", "sslmode"])
@pytest.mark.parametrize("value", ["", "\n", "   "])
def test_an_empty_value_is_named(mount, key, value):
    """Then libpq would fill it with its own default: another database."""
    error = fault(mount(**{"host": "db", key: value}))
    assert error.error_code == "InvalidSecret"
    assert f"/{key}:" in error.message


def test_two_keys_that_differ_are_refused(mount):
    """Both dbname and database name the same thing."""
    error = fault(mount(host="db", dbname="one", database="two"))
    assert "dbname and database" in error.message


def test_two_keys_that_agree_are_fine(mount):
    """CloudNativePG writes user and username."""
    assert read_secret(mount(host="db", user="app", username="app"))["user"] == "app"


@pytest.mark.parametrize(
    "keys",
    [
        {"host": "db", "password": b"\xff\xfe" + PASSWORD.encode()},
        {"host": "db", "password": f"{PASSWORD}\nsecond"},
        {"host": "db", "password": f"{PASSWORD}\0"},
        {"host": "db", "port": PASSWORD},
        {"host": "db", "port": "70000"},
        {"uri": f"postgresql://app:{PASSWORD}%zz@db/exams"},
        {"uri": f"postgresql://app:x@{PASSWORD}@db/exams"},
        {"uri": f"jdbc:postgresql://db/exams?password={PASSWORD}"},
        {"uri": PASSWORD},
    ],
    ids=["encoding", "two lines", "NUL", "port", "large port", "percent", "at", "jdbc", "no uri"],
)
def test_a_broken_value_is_refused_without_being_shown(mount, keys):
    """Logs and a resource's status are read by more people than the Secret."""
    fault(mount(**keys))
