"""The cluster does what the other tests build upon: pods, Services, names, logs, Pod Security."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors

from tests.cluster.kubectl import KubectlError

if TYPE_CHECKING:
    from tests.cluster.kubectl import Kubectl
    from tests.cluster.postgres import Database, Servers
    from tests.cluster.target import Cluster


def restricted_job(image: str, *command: str) -> dict[str, Any]:
    """Return a Job that restricted Pod Security admits, with a read-only root."""
    container = {
        "name": "main",
        "image": image,
        "command": list(command),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "job"},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def test_the_node_is_ready_and_new_enough(cluster: Cluster) -> None:
    """Kubernetes 1.30 or later, with a node that takes pods."""
    nodes = cluster.kubectl.json("get", "nodes")["items"]

    conditions = {c["type"]: c["status"] for c in nodes[0]["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    version = nodes[0]["status"]["nodeInfo"]["kubeletVersion"].removeprefix("v").split(".")
    assert (int(version[0]), int(version[1])) >= (1, 30)


def test_a_restricted_job_runs_the_projects_image(kubectl: Kubectl, image: str) -> None:
    """The image works as nobody, on a read-only root, and the pod's log can be read."""
    script = "import os, dbmigrate, kopf, psycopg; print(os.getuid(), dbmigrate.__version__)"
    kubectl.apply(restricted_job(image, "python", "-c", script))

    kubectl.wait("job/job", "condition=Complete")
    assert kubectl("logs", "job/job").split()[0] == "65532"


def test_the_image_brings_the_postgresql_clients_and_no_build_tools(
    kubectl: Kubectl, image: str
) -> None:
    """What a backup needs is there; what could install or compile something is not."""
    script = (
        "pg_dump --version && pg_restore --version && psql --version && "
        "! command -v pip && ! command -v uv && ! command -v gcc && ! python -m pip --version"
    )
    kubectl.apply(restricted_job(image, "sh", "-c", script))

    kubectl.wait("job/job", "condition=Complete")


def test_a_privileged_pod_is_refused(kubectl: Kubectl, image: str) -> None:
    """The tests' namespaces hold everybody to restricted Pod Security."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "privileged"},
        "spec": {"containers": [{"name": "c", "image": image}]},
    }

    with pytest.raises(KubectlError, match="violates PodSecurity"):
        kubectl.apply(pod)


def test_a_pod_reaches_a_database_by_its_services_name(
    kubectl: Kubectl, image: str, database: Database
) -> None:
    """Service, cluster DNS and the database's Secret fit together."""
    script = "import os, psycopg; psycopg.connect(os.environ['URI']).execute('CREATE TABLE t ()')"
    job = restricted_job(image, "python", "-c", f"{script}.connection.commit()")
    uri = {"secretKeyRef": {"name": "database", "key": "uri"}}
    job["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "URI", "valueFrom": uri}]
    kubectl.apply(job)

    kubectl.wait("job/job", "condition=Complete")
    assert database.query("SELECT count(*) FROM t") == [(0,)]


def test_an_unknown_name_is_unknown(kubectl: Kubectl, image: str) -> None:
    """A wrong host is a name that does not exist, not a failure of the name server."""
    script = (
        "import socket\n"
        "try: socket.getaddrinfo('nowhere.example', 5432)\n"
        "except socket.gaierror as error: print(error.errno == socket.EAI_NONAME)"
    )
    kubectl.apply(restricted_job(image, "python", "-c", script))

    kubectl.wait("job/job", "condition=Complete")
    assert kubectl("logs", "job/job").strip() == "True"


def test_a_database_owner_is_no_superuser(database: Database) -> None:
    """A test's role is what an application's is: owner of its database and nothing more."""
    assert database.query("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [
        (False,)
    ]


def test_a_killed_server_recovers_with_its_data(postgres: Servers) -> None:
    """SIGKILL to a server of the test's own: what was committed is there again."""
    server = postgres.start()
    database = server.create_database()
    database.query("CREATE TABLE t AS SELECT 1 AS a")

    server.kill()
    server.wait_until_ready()

    assert database.query("SELECT a FROM t") == [(1,)]
    assert "was not properly shut down" in server.log()


def test_a_stopped_server_stays_down_until_started(postgres: Servers) -> None:
    """A database that is down on purpose refuses connections, and keeps its data."""
    server = postgres.start()
    database = server.create_database()

    server.stop()
    with pytest.raises(psycopg.OperationalError):
        database.connect()

    server.start()
    assert database.query("SELECT 1") == [(1,)]


def test_a_standby_follows_and_refuses_to_write(postgres: Servers) -> None:
    """A streaming standby holds the primary's rows and is read-only."""
    primary = postgres.start("primary")
    standby = postgres.start("standby", primary=primary)
    with primary.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
        row = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()
    assert row is not None

    with standby.connect() as connection:
        caught_up = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        while connection.execute(caught_up, row).fetchone() != (True,):
            pass  # pytest's own time limit ends this
        assert connection.execute("SELECT a FROM t").fetchone() == (1,)
        with pytest.raises(errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE u ()")
