"""A real PgBouncer (Debian's package) before a test's server."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg
from servers import FOLDERS, MEMORY, until_answers

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"


def version() -> tuple[int, ...]:
    """Of the program; () where there is none."""
    if not Path(PROGRAM).exists():
        return ()
    told = subprocess.run([PROGRAM, "--version"], check=True, capture_output=True, text=True)
    return tuple(int(part) for part in told.stdout.split()[1].split("."))


class PgBouncer:
    """One pooler, listening on loopback; it ends with the test process."""

    def __init__(self, server, pool_mode: str, **settings: object) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{FOLDERS}{os.getpid()}-pool-", dir=MEMORY))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        values = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": self.folder / "users",
            "pool_mode": pool_mode,
            "admin_users": "postgres",
            **settings,
        }
        lines = [f"{name} = {value}" for name, value in values.items()]
        (self.folder / "users").write_text('"postgres" ""\n')
        (self.folder / "ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\n"
            + "\n".join(lines)
            + "\n"
        )
        command = ["setpriv", "--pdeathsig", "INT", PROGRAM, str(self.folder / "ini")]
        if os.geteuid() == 0:
            account = pwd.getpwnam(server.user)
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)
            command[1:1] = [f"--reuid={server.user}", f"--regid={server.user}", "--init-groups"]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until_answers(lambda: self.connect("pgbouncer"), self._process, self.folder / "log", 15)

    def params(self, dbname: str) -> dict[str, str]:
        """The keywords of libpq to reach a database through it."""
        return {"host": "127.0.0.1", "port": str(self.port), "user": "postgres", "dbname": dbname}

    def uri(self, dbname: str) -> str:
        """The same as a URI."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{dbname}"

    def connect(self, dbname: str) -> psycopg.Connection:
        """A client of it, in autocommit, that prepares nothing."""
        return psycopg.connect(**self.params(dbname), autocommit=True, prepare_threshold=None)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(15)
        shutil.rmtree(self.folder, ignore_errors=True)
