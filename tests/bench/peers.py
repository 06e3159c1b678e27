"""The peers' programs: found, or installed into a cache; never among our own dependencies."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dbmigrate" / "bench"
NPM = ("dbmate@2.36.0", "node-pg-migrate@9.0.0", "pg@8.23.1")
PYPI = ("alembic==1.20.0", "psycopg[binary]==3.3.2")
DEBIAN = ("sqitch", "libdbd-pg-perl")


class AbsentError(Exception):
    """A peer cannot be had on this machine; the text says why."""


@dataclass(frozen=True)
class Programs:
    """Where the programs are; a text instead of a path says why one is missing."""

    psql: Path
    dbmate: Path | str
    node_pg_migrate: Path | str
    alembic: Path | str
    sqitch: Path | str


def find() -> Programs:
    """Find the peers, and install what is missing.

    Raises:
        AbsentError: there is no psql.
    """
    return Programs(
        _psql(),
        _or_why(_dbmate),
        _or_why(_node_pg_migrate),
        _or_why(_alembic),
        _or_why(_sqitch),
    )


def _or_why(find_one: object) -> Path | str:
    assert callable(find_one)
    try:
        found: Path = find_one()
    except (AbsentError, OSError) as error:
        return str(error)
    except subprocess.CalledProcessError as error:
        return f"{error.cmd[0]} failed: {(error.stderr or '').strip()[-200:]}"
    return found


def _psql() -> Path:
    # Debian's command is a script in Perl that starts one of these: 50 ms for nothing.
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"))
    found = debian[-1] if debian else shutil.which("psql")
    if found is None:
        raise AbsentError("there is no psql")
    return Path(found)


def _npm() -> Path:
    """The folder node_modules with the packages of `NPM`."""
    if shutil.which("npm") is None:
        raise AbsentError("there is no npm")
    folder = CACHE / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != " ".join(NPM):
        _run("npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", folder, *NPM)
        stamp.write_text(" ".join(NPM), encoding="utf-8")
    return folder / "node_modules"


def _dbmate() -> Path:
    # The package's own command is a script for Node that starts this one: 40 ms for nothing.
    found = sorted((_npm() / "@dbmate").glob("*/bin/dbmate*"))
    if not found:
        raise AbsentError("dbmate's npm package has no program for this machine")
    return found[0]


def _node_pg_migrate() -> Path:
    return _npm() / ".bin" / "node-pg-migrate"


def _alembic() -> Path:
    home = CACHE / "alembic"
    stamp = home / "installed"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != " ".join(PYPI):
        uv = shutil.which("uv") or next(map(str, sorted(CACHE.parent.glob("uv-*/bin/uv"))), None)
        if uv is None:
            raise AbsentError("there is no uv")
        _run(uv, "venv", "--quiet", "--clear", home)
        _run(uv, "pip", "install", "--quiet", "--compile-bytecode", "--python",
             home / "bin" / "python", *PYPI)  # fmt: skip
        stamp.write_text(" ".join(PYPI), encoding="utf-8")
    return home / "bin" / "alembic"


def _sqitch() -> Path:
    found = shutil.which("sqitch")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *DEBIAN)
        found = shutil.which("sqitch")
    if found is None:
        raise AbsentError("Debian's package is not installed, and only root can do that")
    return Path(found)


def _run(*command: object) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(
        list(map(str, command)), check=True, capture_output=True, text=True, env=environment
    )
