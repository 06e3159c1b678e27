"""Each fault of the way to the database has its reason, and mends itself when it is mended."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.cluster.migration import Migration, condition_of, tables

if TYPE_CHECKING:
    from tests.cluster.kubectl import Kubectl
    from tests.cluster.operator import Operator
    from tests.cluster.postgres import Database, Servers


def secret_with(database: Database, **changed: str) -> dict[str, Any]:
    """The database's Secret without its URI, and with some keys changed."""
    secret = database.secret("database")
    secret["stringData"] = {
        key: value
        for key, value in {**secret["stringData"], **changed}.items()
        if key not in ("uri", "pgpass")
    }
    return secret


def everything(kubectl: Kubectl, migration: Migration, operator: Operator) -> str:
    """All that anybody could read about a migration: resource, Events, Jobs, logs."""
    selector = "--selector=dbmigrate.dev/action"
    return "\n".join(
        (
            json.dumps(migration.get()),
            kubectl("get", "events", "--output=json"),
            kubectl("get", "jobs,pods", "--output=json"),
            kubectl("logs", selector, "--tail=-1", "--ignore-errors"),
            operator.log(),
        )
    )


def test_a_wrong_password_is_named_without_being_shown_and_mends_itself(
    migration: Migration, database: Database, kubectl: Kubectl, operator: Operator
) -> None:
    """AuthenticationFailed; no password anywhere; the mended Secret is picked up by itself."""
    kubectl("delete", "secret", "database")
    kubectl.apply(secret_with(database, password="wr0ng-and-secret"))
    migration.files(tables(1))
    migration.apply()

    status = migration.await_status(
        "the login's failure is told",
        lambda s: s.get("failure", {}).get("code") == "AuthenticationFailed",
    )

    assert condition_of(status, "Ready")["status"] == "False"
    assert "wr0ng-and-secret" not in everything(kubectl, migration, operator)
    kubectl("delete", "secret", "database")
    kubectl.apply(database.secret("database"))
    migration.await_phase("Succeeded", version="1.1.0", timeout=120)
    assert database.password not in everything(kubectl, migration, operator)


def test_an_unknown_host_is_named_and_mends_itself(
    migration: Migration, database: Database, kubectl: Kubectl
) -> None:
    """HostNotFound, with the host; then Succeeded."""
    kubectl("delete", "secret", "database")
    kubectl.apply(secret_with(database, host="no-such-host.invalid"))
    migration.files(tables(1))
    migration.apply()

    status = migration.await_status(
        "the host is named", lambda s: s.get("failure", {}).get("code") == "HostNotFound"
    )

    assert "no-such-host.invalid" in status["failure"]["message"]
    kubectl.apply(database.secret("database"))
    kubectl("delete", "secret", "database")
    kubectl.apply(database.secret("database"))
    migration.await_phase("Succeeded", version="1.1.0", timeout=120)


def test_a_missing_secret_is_named_and_mends_itself(
    migration: Migration, database: Database, kubectl: Kubectl
) -> None:
    """The pod waits for its Secret; the status says which."""
    kubectl("delete", "secret", "database")
    migration.files(tables(1))
    migration.apply()

    migration.await_status(
        "the missing Secret is named",
        lambda s: "database" in s.get("message", "") and "ecret" in s.get("message", ""),
    )

    kubectl.apply(database.secret("database"))
    migration.await_phase("Succeeded", version="1.1.0", timeout=180)


def test_a_database_that_is_down_is_waited_for(
    kubectl: Kubectl,
    postgres: Servers,
    operator: Operator,  # noqa: ARG001
) -> None:
    """A reason while it is down; Succeeded once it is up again, with no hand on it."""
    server = postgres.start()
    database = server.create_database()
    kubectl.apply(database.secret("database"))
    migration = Migration(kubectl)
    migration.files(tables(1))
    server.stop()
    migration.apply()

    migration.await_status(
        "the database is out of reach",
        lambda s: (
            s.get("failure", {}).get("code") in ("ConnectionRefused", "Unreachable", "Timeout")
        ),
        timeout=90,
    )

    server.start()
    migration.await_phase("Succeeded", version="1.1.0", timeout=120)


def test_a_standby_is_refused_by_name(
    kubectl: Kubectl,
    postgres: Servers,
    operator: Operator,  # noqa: ARG001
) -> None:
    """StandbyServer; nothing is written; mended by naming the primary."""
    primary = postgres.start("primary", settings=("wal_level=replica", "max_wal_senders=4"))
    database = primary.create_database()
    standby = postgres.start("standby", primary=primary)
    wrong = replace(database, server=standby)
    kubectl.apply(wrong.secret("database"))
    migration = Migration(kubectl)
    migration.files(tables(1))
    migration.apply()

    migration.await_status(
        "the standby is recognised",
        lambda s: s.get("failure", {}).get("code") == "StandbyServer",
    )

    assert database.query("SELECT to_regclass('schema_migrations')") == [(None,)]
    kubectl("delete", "secret", "database")
    kubectl.apply(database.secret("database"))
    migration.await_phase("Succeeded", version="1.1.0", timeout=120)
