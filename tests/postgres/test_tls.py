"""TLS between the runner and the server: each way in which it fails says what to do."""

import os
import pwd
import shutil
import subprocess

import pytest
from servers import Server, binaries

from dbmigrate.errors import UnreachableError
from dbmigrate.postgres.server.connection import connect
from dbmigrate.postgres.server.interruption import Interruption
from dbmigrate.postgres.server.settings import ConnectionSettings, SessionSettings

DEBIAN = 15
NAME = "db.example"


@pytest.fixture(scope="module")
def tls_server():
    """With a certificate of its own for the name db.example."""
    programs = binaries(DEBIAN)
    if programs is None or shutil.which("openssl") is None:
        pytest.skip("needs Debian's PostgreSQL, which speaks TLS, and openssl")
    server = Server(DEBIAN, programs)
    try:
        server.create()
        _certify(server)
        hba = "hostssl all guarded all trust clientcert=verify-ca\nhostssl all all all trust\n"
        (server.data / "pg_hba.conf").write_text(hba + "local all all trust\n")
        server.start()
        with server.connect("postgres") as admin:
            admin.execute("create role guarded login")
        yield server
    finally:
        server.destroy()


def _certify(server):
    key, certificate = server.data / "server.key", server.data / "server.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    (server.data / "root.crt").write_bytes(certificate.read_bytes())
    if os.geteuid() == 0:
        account = pwd.getpwnam(server.user)
        for each in (key, certificate, server.data / "root.crt"):
            os.chown(each, account.pw_uid, account.pw_gid)
    key.chmod(0o600)
    server.settings |= {"ssl": "on", "ssl_ca_file": "root.crt"}


@pytest.fixture
def reach(tls_server, tmp_path, monkeypatch):
    """Connects by TCP with these settings."""
    monkeypatch.setenv("HOME", str(tmp_path))  # nobody's own ~/.postgresql

    def _reach(**changed):
        params = tls_server.params("postgres") | {"host": "127.0.0.1"} | changed
        where = ConnectionSettings(params, "the test")
        connect(where, SessionSettings("up", is_writing=True), Interruption()).close()

    return _reach


@pytest.fixture
def refused(reach):
    """The same where it must fail; the error."""

    def _refused(**changed):
        with pytest.raises(UnreachableError) as raised:
            reach(**changed)
        return raised.value

    return _refused


def test_a_certificate_that_is_trusted(tls_server, reach):
    """Name and authority fit."""
    root = str(tls_server.data / "root.crt")
    # The name is the certificate's; the address is where it is.
    reach(host=NAME, hostaddr="127.0.0.1", sslmode="verify-full", sslrootcert=root)


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"sslmode": "disable"}, "TlsRequired", "sslmode=require"),
        ({"sslmode": "verify-full"}, "TlsNotTrusted", "sslrootcert"),
        ({"sslmode": "verify-full", "sslrootcert": "system"}, "TlsNotTrusted", "sslrootcert"),
        ({"sslmode": "require", "user": "guarded"}, "ClientCertificateRequired", "sslcert"),
    ],
)
def test_each_failure_says_what_to_do(refused, changed, code, words):
    """No TLS, no authority, the wrong authority, no certificate of the client's."""
    error = refused(**changed)
    assert error.error_code == code
    assert words in error.hint


def test_a_name_that_is_not_the_certificates(tls_server, refused):
    """Somebody else might answer there."""
    root = str(tls_server.data / "root.crt")
    error = refused(sslmode="verify-full", sslrootcert=root)
    assert error.error_code == "TlsNotTrusted"
    assert "the name in its certificate" in error.hint


def test_a_certificate_that_cannot_be_read(refused):
    """A path that is mistyped."""
    error = refused(sslmode="verify-full", sslrootcert="/no/such/file")
    assert error.error_code == "TlsNotTrusted"
