"""What the engine can do beside plain files, as a resource asks for it and its status tells it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import yaml

from tests.cluster.awaiting import until
from tests.cluster.migration import condition_of, table, tables
from tests.cluster.test_kills import APPLIED, await_statement, kill_runner

if TYPE_CHECKING:
    from tests.cluster.kubectl import Kubectl
    from tests.cluster.migration import Migration
    from tests.cluster.postgres import Database

BUILD = (
    "CREATE TABLE beside (id int);\n"
    "CREATE INDEX CONCURRENTLY t1_id_note_idx ON t1 (id, note);\n"
    "COMMENT ON INDEX t1_id_note_idx IS 'built';\n"
)
INDEX = (
    "SELECT c.relname, i.indisvalid, obj_description(c.oid) FROM pg_index i"
    " JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE i.indrelid = 't1'::regclass AND c.relname LIKE 't1_id_note_idx%'"
)
MODES = (
    "SELECT coalesce(version, filename), transaction_mode FROM schema_migrations"
    " WHERE status = 'completed' ORDER BY id"
)
VIEW = "CREATE OR REPLACE VIEW notes AS SELECT id, {} AS note FROM t1;\n"


def test_an_index_is_built_concurrently_by_itself(migration: Migration, database: Database) -> None:
    """The file runs by statement without being asked; parameters of the resource hold for it."""
    probe = "CREATE TABLE seen AS SELECT current_setting('maintenance_work_mem') AS value;\n"
    migration.files({**tables(1), "v1.2.0_build.sql": BUILD, "v1.3.0_probe.sql": probe})
    migration.apply(execution={"settings": {"maintenance_work_mem": "17MB"}})

    status = migration.await_phase("Succeeded", version="1.3.0")

    assert "unfinished" not in status
    assert database.query(INDEX) == [("t1_id_note_idx", True, "built")]
    assert database.query(MODES) == [("1.1.0", "file"), ("1.2.0", "statement"), ("1.3.0", "file")]
    assert database.query("SELECT value FROM seen") == [("17MB",)]


def test_a_runner_killed_while_it_builds_an_index_is_followed_by_one_that_goes_on(
    migration: Migration, database: Database, kubectl: Kubectl
) -> None:
    """What ran before stays and is not run again; the index is valid, and there once."""
    migration.files(tables(1))
    migration.apply()
    migration.await_phase("Succeeded", version="1.1.0")
    with psycopg.connect(database.dsn) as writer:
        # CREATE INDEX CONCURRENTLY waits for every transaction that has written to the table.
        writer.execute("INSERT INTO t1 VALUES (1, 'held')")
        migration.files({**tables(1), "v1.2.0_build.sql": BUILD})
        await_statement(database, "CREATE INDEX CONCURRENTLY")
        first = migration.jobs()[-1]["metadata"]["name"]
        until(lambda: database.query(INDEX) == [("t1_id_note_idx", False, None)], "it is INVALID")
        kill_runner(kubectl, migration.runner_pod())
        until(
            lambda: migration.jobs()[-1]["metadata"]["name"] != first,
            "the next attempt's Job is there",
        )

    status = migration.await_phase("Succeeded", version="1.2.0", timeout=120)

    assert "unfinished" not in status
    assert database.query(INDEX) == [("t1_id_note_idx", True, "built")]
    assert database.query(APPLIED) == [("1.1.0", 1), ("1.2.0", 1)]


def test_a_file_that_fails_in_its_middle_is_told_as_applied_in_part_until_it_is_mended(
    migration: Migration, database: Database, kubectl: Kubectl
) -> None:
    """Status and `kubectl describe` say so; the mended file goes on where it was."""
    wrong = BUILD.replace("COMMENT ON INDEX t1_id_note_idx", "COMMENT ON INDEX nowhere")
    migration.files({**tables(1), "v1.2.0_build.sql": wrong})
    migration.apply()

    status = migration.await_phase("Failed", version="1.1.0")

    part = status["unfinished"]
    assert (part["file"], part["version"], part["statementsDone"]) == (
        "v1.2.0_build.sql",
        "1.2.0",
        2,
    )
    assert status["failure"]["line"] == 3
    assert "v1.2.0_build.sql is applied in part" in status["message"]
    assert "applied in part" in condition_of(status, "Ready")["message"]
    assert "Statements Done:" in kubectl("describe", "dbm", "exams")

    migration.files({**tables(1), "v1.2.0_build.sql": BUILD})
    status = migration.await_phase("Succeeded", version="1.2.0")
    assert "unfinished" not in status
    assert database.query(INDEX) == [("t1_id_note_idx", True, "built")]


def test_a_view_is_applied_again_when_its_file_has_changed(
    migration: Migration, database: Database, kubectl: Kubectl
) -> None:
    """A ConfigMap with path repeatable; inline files may stand in a folder too."""
    maps = [{"name": "exams-sql"}, {"name": "exams-views", "path": "repeatable"}]
    inline = {"repeatable/z_comment.sql": "COMMENT ON VIEW notes IS 'inline';\n"}
    migration.files({**tables(1), "v1.2.0_row.sql": "INSERT INTO t1 VALUES (1, 'one');\n"})
    migration.config_map("exams-views", {"views.sql": VIEW.format("note")})
    migration.apply(source={"configMaps": maps, "inline": inline})

    status = migration.await_phase("Succeeded", version="1.2.0")
    assert [each["version"] for each in status["migrations"]] == ["1.1.0", "1.2.0"]
    assert database.query("SELECT note, obj_description('notes'::regclass) FROM notes") == [
        ("one", "inline")
    ]

    migration.config_map("exams-views", {"views.sql": VIEW.format("upper(note)")})
    migration.await_phase("Succeeded", version="1.2.0", digest_not=status["sourceDigest"])
    assert database.query("SELECT note FROM notes") == [("ONE",)]
    assert [name for name, _ in database.query(MODES)] == [
        *("1.1.0", "1.2.0", "repeatable/views.sql", "repeatable/z_comment.sql"),
        "repeatable/views.sql",
    ]
    events = kubectl.json("get", "events", "--field-selector=reason=Migrated")["items"]
    assert any(
        each["message"] == "applied repeatable/views.sql; the database is at 1.2.0"
        for each in events
    )


def test_a_verification_that_does_not_hold_fails_the_migration_with_its_place(
    migration: Migration, database: Database
) -> None:
    """Nothing of the file is applied."""
    maps = [{"name": "exams-sql"}, {"name": "exams-verify", "path": "verify"}]
    check = "DO $$\nBEGIN\n    ASSERT EXISTS (SELECT FROM t2), 't2 is empty';\nEND $$;\n"
    migration.files(tables(2))
    migration.config_map("exams-verify", {"v1.2.0_rows.sql": check})
    migration.apply(source={"configMaps": maps})

    status = migration.await_phase("Failed", version="1.1.0")

    failure = status["failure"]
    assert (failure["code"], failure["file"]) == ("VerifyFailed", "verify/v1.2.0_rows.sql")
    assert failure["line"] == 1
    assert "t2 is empty" in failure["message"]
    assert "verify/v1.2.0_rows.sql:1" in status["message"]
    assert database.query("SELECT to_regclass('t2')") == [(None,)]


def test_all_pending_files_are_one_transaction_where_the_resource_says_so(
    migration: Migration, database: Database
) -> None:
    """The last file's fault leaves nothing of the first one."""
    wrong = "INSERT INTO t1 VALUES (1, NULL);\n"
    migration.files({**tables(2), "v1.3.0_wrong.sql": wrong})
    migration.apply(execution={"transaction": "All"})

    status = migration.await_phase("Failed", version="0")
    assert status["failure"]["file"] == "v1.3.0_wrong.sql"
    assert database.query("SELECT to_regclass('t1'), to_regclass('t2')") == [(None, None)]

    migration.files({**tables(2), "v1.3.0_right.sql": "INSERT INTO t1 VALUES (1, 'one');\n"})
    migration.await_phase("Succeeded", version="1.3.0")
    assert {mode for _, mode in database.query(MODES)} == {"all"}


def test_what_a_rollback_loses_is_kept_or_refused_as_the_resource_says(
    migration: Migration, database: Database, kubectl: Kubectl
) -> None:
    """Too much is refused until a backup is named; an Event tells what was kept."""
    fill = "INSERT INTO t2 SELECT n, repeat('x', 100) FROM generate_series(1, 1000) AS n;\n"
    drop = {"v1.2.0_rollback.sql": table(2, rollback=True)}
    migration.files({**tables(1), "v1.2.0_table.sql": table(2) + fill}, drop)
    migration.apply()
    migration.await_phase("Succeeded", version="1.2.0")

    migration.apply(targetVersion="1.1.0", rollback={"keepLimit": "1Ki"})
    status = migration.await_phase("Blocked", version="1.2.0")
    assert status["failure"]["code"] == "RollbackTooLarge"
    assert "spec.rollback.backupCovers" in status["message"]
    assert database.query("SELECT count(*) FROM t2") == [(1000,)]

    migration.apply(rollback={"keepLimit": "1Gi"})
    migration.await_phase("Succeeded", version="1.1.0")
    assert database.query("SELECT to_regclass('t2')") == [(None,)]

    def told() -> bool:
        events = kubectl.json("get", "events", "--field-selector=reason=DataKept")["items"]
        return any("table of public.t2, 1000 rows" in each["message"] for each in events)

    until(told, "an Event tells what was kept")


def test_a_file_that_comes_late_runs_where_the_resource_lets_it(
    migration: Migration, database: Database
) -> None:
    """It is refused by default, with the field that would allow it."""
    migration.files({"v1.2.0_table.sql": table(2)})
    migration.apply()
    migration.await_phase("Succeeded", version="1.2.0")

    migration.files(tables(2))
    status = migration.await_phase("Blocked", version="1.2.0")
    assert condition_of(status, "Stalled")["reason"] == "OutOfOrder"
    assert "spec.execution.outOfOrder: Warn" in status["message"]

    migration.apply(execution={"outOfOrder": "Warn"})
    migration.await_phase("Succeeded", version="1.2.0")
    assert [version for version, _ in database.query(APPLIED)] == ["1.1.0", "1.2.0"]


MOVE = (
    "-- dbmigrate: transaction=own\n"
    "CREATE PROCEDURE move() LANGUAGE plpgsql AS $$ BEGIN\n"
    "    INSERT INTO t1 VALUES (1, 'moved');\n"
    "    COMMIT;\n"
    "    PERFORM pg_sleep(6);\n"
    "END $$;\n"
    "CALL move();\n"
    "COMMENT ON TABLE t1 IS 'moved';\n"
)


def test_a_statement_in_doubt_waits_for_a_person_who_says_so_by_a_pod(
    migration: Migration, database: Database, kubectl: Kubectl, image: str
) -> None:
    """Nothing is tried by itself; the pod of docs/operator.md and the annotation go on."""
    migration.files({**tables(1), "v1.2.0_move.sql": MOVE})
    migration.apply()
    await_statement(database, "CALL move")
    until(lambda: database.query("SELECT count(*) FROM t1") == [(1,)], "its first half is there")
    kill_runner(kubectl, migration.runner_pod())

    status = migration.await_phase("Blocked", version="1.1.0", timeout=90)
    assert condition_of(status, "Stalled")["reason"] == "StatementInDoubt"
    assert status["unfinished"]["statementInDoubt"] == 2
    assert "dbmigrate resolve done" in status["message"]
    assert "dbmigrate.dev/retry" in status["message"]
    assert "statement 2 is in doubt" in status["message"]
    jobs = len(migration.jobs())

    kubectl.apply(resolving_pod(image))
    kubectl.wait("pod/exams-resolve", "jsonpath={.status.phase}=Succeeded", timeout=60)
    assert len(migration.jobs()) == jobs
    migration.annotate("dbmigrate.dev/retry=resolved")

    status = migration.await_phase("Succeeded", version="1.2.0")
    assert "unfinished" not in status
    assert database.query("SELECT count(*), obj_description('t1'::regclass) FROM t1") == [
        (1, "moved")
    ]


def resolving_pod(image: str) -> dict[str, Any]:
    """The pod of docs/operator.md, for this test's Secret, environment and image."""
    page = (Path(__file__).parents[2] / "docs/operator.md").read_text()
    (text,) = (
        block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "Pod" in block
    )
    for documented, own in (
        ("registry.example/dbmigrate:0.1.0", image),
        ("secretName: exams-db", "secretName: database"),
        ("--environment=production", "--environment=testing"),
        ("  namespace: shop\n", ""),
    ):
        assert documented in text
        text = text.replace(documented, own)
    pod: dict[str, Any] = yaml.safe_load(text)
    return pod
