"""PostgreSQL servers in pods: their manifests, and what a test does with a running one.

A server's data lies in its pod and survives the server's end, not the pod's: its container runs a
loop that starts the server again, unless a test has stopped it on purpose.
"""

from __future__ import annotations

import base64
import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from tests.cluster.kubectl import Kubectl
    from tests.cluster.target import Cluster

SUPERUSER = "postgres"
_STOPPED = "/data/stopped"
_SUPERVISE = f"""
trap 'kill -INT $server 2>/dev/null; wait $server; exit 0' TERM INT
while true; do
    if [ ! -e {_STOPPED} ]; then
        docker-entrypoint.sh postgres "$@" & server=$!
        wait $server || true
    fi
    sleep 0.05
done
"""
_FOLLOW = f"""
export PGPASSWORD=$POSTGRES_PASSWORD
[ -s $PGDATA/PG_VERSION ] || until pg_basebackup --pgdata=$PGDATA --write-recovery-conf \
    --checkpoint=fast --no-sync --host=$PRIMARY --username={SUPERUSER}; do
    rm -rf $PGDATA
    sleep 0.2
done
chmod 0700 $PGDATA
{_SUPERVISE}
"""
_FAST = ("fsync=off", "full_page_writes=off")
"""Safe here: a server may be killed, but the machine that holds the page cache lives on."""


@dataclass(frozen=True)
class Database:
    """A database with an owner of its own on a server in the cluster."""

    server: Server
    name: str
    owner: str
    password: str

    @property
    def dsn(self) -> str:
        """Connection string for the test's own process, as the owner."""
        return self.server.dsn(dbname=self.name, user=self.owner, password=self.password)

    @property
    def uri(self) -> str:
        """Connection URI for a pod, as the owner."""
        return f"postgresql://{self.owner}:{self.password}@{self.server.host}:5432/{self.name}"

    def connect(self, **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect as the owner, with autocommit unless `options` say otherwise."""
        return psycopg.connect(self.dsn, **{"autocommit": True, **options})

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run one statement as the owner and return its rows, if it has any."""
        with self.connect() as connection:
            # Tests write their SQL themselves.
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def secret(self, name: str) -> dict[str, Any]:
        """Return a Secret with the keys that CloudNativePG writes for an application."""
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "type": "kubernetes.io/basic-auth",
            "stringData": {
                "dbname": self.name,
                "host": self.server.host,
                "port": "5432",
                "user": self.owner,
                "username": self.owner,
                "password": self.password,
                "uri": self.uri,
                "pgpass": f"{self.server.host}:5432:{self.name}:{self.owner}:{self.password}\n",
            },
        }


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL server in a pod, reachable from pods and from the test's process."""

    kubectl: Kubectl
    name: str
    password: str
    reached_at: tuple[str, int]

    @property
    def host(self) -> str:
        """The Service's full name, for pods of any namespace."""
        return f"{self.name}.{self.kubectl.namespace}.svc.cluster.local"

    def dsn(self, **parameters: str) -> str:
        """Return a connection string for this process; as superuser unless `user` is given."""
        host, port = self.reached_at
        defaults = {"dbname": "postgres", "user": SUPERUSER, "password": self.password}
        return make_conninfo(host=host, port=port, **{**defaults, **parameters})

    def connect(self, dbname: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """Connect as superuser, with autocommit."""
        return psycopg.connect(self.dsn(dbname=dbname), autocommit=True)

    def create_database(self, name: str | None = None) -> Database:
        """Create a database and the role that owns it; both bear the same name."""
        name = name or f"app_{secrets.token_hex(4)}"
        password = secrets.token_hex(12)
        identifier = sql.Identifier(name)
        with self.connect() as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(identifier, password)
            )
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(identifier, identifier)
            )
        return Database(self, name, name, password)

    def drop_database(self, database: Database) -> None:
        """Drop a database, whoever is connected, and its owner."""
        with self.connect() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(
                    sql.Identifier(database.name)
                )
            )
            connection.execute(
                sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(database.owner))
            )

    def kill(self) -> None:
        """Kill the whole server by SIGKILL; it starts again by itself and recovers."""
        # The postmaster's children notice its death and leave.
        self._exec(
            "server=$(head -n 1 $PGDATA/postmaster.pid); kill -KILL $server;"
            "while kill -0 $server 2>/dev/null; do sleep 0.02; done"
        )

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server; it stays down, its data kept, until `start`."""
        self._exec(f"touch {_STOPPED}; pg_ctl stop --mode={mode} --pgdata=$PGDATA --wait")

    def start(self) -> None:
        """Let a stopped server run again, and wait until it accepts connections."""
        self._exec(f"rm -f {_STOPPED}")
        self.wait_until_ready()

    def wait_until_ready(self, timeout: float = 60) -> None:
        """Wait until the server accepts connections and its Service leads to it."""
        self._exec("until pg_isready --quiet --host=127.0.0.1; do sleep 0.05; done")
        self.kubectl.wait(f"pod/{self.name}", "condition=Ready", timeout=timeout)
        # The Service's endpoint and a port-forward come back a moment later than the pod.
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def log(self) -> str:
        """Return what the server has logged."""
        return self.kubectl("logs", f"pod/{self.name}")

    def _exec(self, script: str) -> None:
        self.kubectl("exec", f"pod/{self.name}", "--", "sh", "-c", script)


def manifests(
    name: str, image: str, *, primary: str | None, settings: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return the Pod and the Service of a server, which take the password from Secret `name`.

    Args:
        name: Of the pod, the Service and the Secret.
        image: A PostgreSQL image with the interface of the official one.
        primary: The host that it follows as a streaming standby, None for a primary.
        settings: Of postgresql.conf, as in `log_statement=all`.
    """
    password = {"secretKeyRef": {"name": name, "key": "password"}}
    arguments = [word for setting in (*_FAST, *settings) for word in ("-c", setting)]
    environment = [
        {"name": "PGDATA", "value": "/data/pgdata"},
        {"name": "POSTGRES_PASSWORD", "valueFrom": password},
        {"name": "POSTGRES_HOST_AUTH_METHOD", "value": "scram-sha-256"},
        {"name": "PRIMARY", "value": primary or ""},
    ]
    container = {
        "name": "postgres",
        "image": image,
        "command": ["sh", "-c", _FOLLOW if primary else _SUPERVISE, "supervise"],
        "args": arguments,
        "env": environment,
        "ports": [{"containerPort": 5432}],
        "readinessProbe": {
            "exec": {"command": ["pg_isready", "--quiet", "--host=127.0.0.1"]},
            "periodSeconds": 1,
            # One probe that a busy machine delays must not take the server from its Service.
            "failureThreshold": 3,
            "timeoutSeconds": 5,
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "sockets", "mountPath": "/var/run/postgresql"},
            {"name": "temporary", "mountPath": "/tmp"},
        ],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 2,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 999,
                "runAsGroup": 999,
                "fsGroup": 999,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [
                {"name": volume, "emptyDir": {}} for volume in ("data", "sockets", "temporary")
            ],
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 5432, "targetPort": 5432}]},
    }
    return [pod, service]


class Servers:
    """Starts servers in one namespace, and keeps the ways to them open until it is closed."""

    def __init__(self, cluster: Cluster, namespace: str, image: str) -> None:
        self._cluster = cluster
        self._kubectl = cluster.kubectl.within(namespace)
        self._image = image
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def start(
        self,
        name: str = "postgres",
        *,
        primary: Server | None = None,
        settings: tuple[str, ...] = (),
    ) -> Server:
        """Start a server and return when it accepts connections.

        One that is there already is taken as it is.

        Args:
            name: Of its pod, Service and Secret.
            primary: The server that it follows as a read-only standby.
            settings: Of postgresql.conf, as in `log_statement=all`.
        """
        password = self._password(name, primary)
        host = primary.host if primary else None
        # A pod that is there keeps its spec: most of it cannot be changed.
        if not self._kubectl("get", "pod", name, "--ignore-not-found", "--output=name"):
            self._kubectl.apply(*manifests(name, self._image, primary=host, settings=settings))
        self._kubectl.wait(f"pod/{name}", "condition=Ready", timeout=90)
        way = self._cluster.reach(str(self._kubectl.namespace), name, 5432)
        server = Server(self._kubectl, name, password, self._open.enter_context(way))
        server.wait_until_ready()
        return server

    def _password(self, name: str, primary: Server | None) -> str:
        """Return the superuser's password from the server's Secret, made first if need be."""
        if not self._kubectl("get", "secret", name, "--ignore-not-found", "--output=name"):
            password = primary.password if primary else secrets.token_hex(12)
            self._kubectl.apply(
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": name},
                    "stringData": {"username": SUPERUSER, "password": password},
                }
            )
        secret = self._kubectl.json("get", "secret", name)
        return base64.b64decode(secret["data"]["password"]).decode()
