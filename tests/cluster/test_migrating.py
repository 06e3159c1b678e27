"""The main job: a manifest and files go in, a migrated database and a true status come out."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tests.cluster.migration import condition_of, drops, sample_files, table, tables

if TYPE_CHECKING:
    from tests.cluster.kubectl import Kubectl
    from tests.cluster.migration import Migration
    from tests.cluster.postgres import Database

HISTORY = (
    "SELECT version, filename, checksum, status FROM schema_migrations"
    " WHERE migration_type = 'forward' ORDER BY id"
)


def sha256(text: str) -> str:
    """What `sha256sum` prints for a file of this text."""
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_sample_is_migrated_and_status_files_and_history_agree(
    migration: Migration, database: Database, kubectl: Kubectl
) -> None:
    """The sample reaches Succeeded; checksums are those of the files; the history agrees by row."""
    files, rollbacks = sample_files()
    migration.files(files, rollbacks)
    migration.apply(source={**migration.manifest()["spec"]["source"], "revision": "4f2c9d1"})

    status = migration.await_phase("Succeeded", version="1.6.0")

    expected = [
        (name.removeprefix("v").partition("_")[0], name, sha256(text), "completed")
        for name, text in sorted(files.items())
    ]
    assert database.query(HISTORY) == expected
    assert [(m["version"], m["file"], m["checksum"]) for m in status["migrations"]] == [
        row[:3] for row in expected
    ]
    assert all(m["gitCommitHash"] == "4f2c9d1" for m in status["migrations"])
    assert all(m["executionTimeMs"] >= 0 for m in status["migrations"])
    assert status["pending"] == 0
    assert condition_of(status, "Ready")["status"] == "True"
    row = kubectl("get", "dbmigrations", migration.name).splitlines()[1].split()
    assert row[:6] == ["exams", "testing", "1.6.0", "1.6.0", "0", "Succeeded"]


def test_a_new_file_in_the_configmap_is_applied_without_touching_the_resource(
    migration: Migration, database: Database
) -> None:
    """A changed ConfigMap is noticed by itself."""
    migration.files(tables(2))
    migration.apply()
    migration.await_phase("Succeeded", version="1.2.0")
    generation = migration.get()["metadata"]["generation"]

    migration.files(tables(3))

    migration.await_phase("Succeeded", version="1.3.0")
    assert migration.get()["metadata"]["generation"] == generation
    assert database.query("SELECT to_regclass('t3') IS NOT NULL") == [(True,)]


def test_a_failing_statement_leaves_nothing_of_its_file_and_says_where_it_is(
    migration: Migration, database: Database
) -> None:
    """Failed with file, line, SQLSTATE and message; earlier files stay; mended it goes on."""
    broken = (
        "CREATE TABLE wanted (id bigint PRIMARY KEY);\n"
        "INSERT INTO wanted VALUES (1);\n"
        "\n"
        "ALTER TABLE wanted\n"
        "    ADD COLUMN other no_such_type;\n"
    )
    migration.files({**tables(2), "v1.3.0_wanted.sql": broken})
    migration.apply()

    status = migration.await_phase("Failed", version="1.2.0")

    failure = status["failure"]
    assert failure["file"].endswith("v1.3.0_wanted.sql")
    assert (failure["version"], failure["line"], failure["statement"]) == ("1.3.0", 5, 3)
    assert failure["sqlstate"] == "42704"
    assert "no_such_type" in failure["message"]
    assert condition_of(status, "Stalled")["status"] == "True"
    assert condition_of(status, "Ready")["status"] == "False"
    assert database.query("SELECT to_regclass('wanted')::text, to_regclass('t2')::text") == [
        (None, "t2")
    ]
    failed = database.query("SELECT version FROM schema_migrations WHERE status = 'failed'")
    assert failed == [("1.3.0",)]

    migration.files({**tables(2), "v1.3.0_wanted.sql": broken.replace("no_such_type", "text")})

    status = migration.await_phase("Succeeded", version="1.3.0")
    assert "failure" not in status
    assert database.query("SELECT count(*) FROM wanted") == [(1,)]


def test_an_edited_applied_file_blocks_and_both_sums_are_named(
    migration: Migration, database: Database
) -> None:
    """Nothing runs while an applied file differs from what was applied."""
    files = tables(2)
    migration.files(files)
    migration.apply()
    migration.await_phase("Succeeded", version="1.2.0")

    edited = {**files, "v1.1.0_table.sql": table(1) + "-- a second thought\n", **tables(1, first=3)}
    migration.files(edited)

    status = migration.await_phase("Blocked")
    failure = status["failure"]
    assert failure["code"] == "ChecksumMismatch"
    assert sha256(files["v1.1.0_table.sql"]) in failure["message"]
    assert sha256(edited["v1.1.0_table.sql"]) in failure["message"]
    assert status["currentVersion"] == "1.2.0"
    assert database.query("SELECT to_regclass('t3')") == [(None,)]


def test_the_target_goes_back_and_forward_twice(migration: Migration, database: Database) -> None:
    """A targetVersion of 1.3.0 and latest again, as often as one likes, by the sample's files."""
    migration.files(*sample_files())
    migration.apply()
    migration.await_phase("Succeeded", version="1.6.0")

    for _ in range(2):
        migration.apply(targetVersion="1.3.0")
        status = migration.await_phase("Succeeded", version="1.3.0")
        assert status["targetVersion"] == "1.3.0"
        assert database.query("SELECT to_regclass('user_preferences')") == [(None,)]
        migration.apply(targetVersion="latest")
        migration.await_phase("Succeeded", version="1.6.0")

    applied = database.query(
        "SELECT status, count(*) FROM schema_migrations"
        " WHERE version = '1.6.0' AND migration_type = 'forward' GROUP BY 1 ORDER BY 1"
    )
    assert applied == [("completed", 1), ("rolled_back", 2)]


def test_large_sources_spread_over_several_configmaps(
    migration: Migration, database: Database
) -> None:
    """1.6 MB of SQL over three ConfigMaps is one source."""
    filler = "-- " + "x" * 97 + "\n"
    maps = {}
    for number in range(1, 4):
        text = table(number) + filler * 5300
        maps[f"big-{number}"] = {f"v1.{number}.0_table.sql": text}
    for name, content in maps.items():
        migration.config_map(name, content)
    migration.apply(source={"configMaps": [{"name": name} for name in maps]})

    status = migration.await_phase("Succeeded", version="1.3.0")

    total = sum(len(text) for content in maps.values() for text in content.values())
    assert total > 1_580_000
    assert [m["checksum"] for m in status["migrations"]] == [
        sha256(text) for content in maps.values() for text in content.values()
    ]
    assert database.query("SELECT to_regclass('t3')::text") == [("t3",)]


def test_inline_files_are_a_source_too(migration: Migration, database: Database) -> None:
    """Small migrations may stand in the resource itself."""
    files = {**tables(2), **drops(2)}
    migration.apply(source={"inline": files})

    status = migration.await_phase("Succeeded", version="1.2.0")

    assert [m["checksum"] for m in status["migrations"]] == [
        sha256(files["v1.1.0_table.sql"]),
        sha256(files["v1.2.0_table.sql"]),
    ]
    migration.apply(targetVersion="0")
    migration.await_phase("Succeeded", version="0")
    assert database.query("SELECT to_regclass('t1')") == [(None,)]


def test_a_missing_configmap_is_waited_for_by_name(migration: Migration) -> None:
    """The status names the ConfigMap; once it is there, the migration runs by itself."""
    migration.apply()

    status = migration.await_status(
        "the missing ConfigMap is named",
        lambda s: "exams-sql" in s.get("message", ""),
    )
    assert condition_of(status, "Ready")["status"] != "True"

    migration.files(tables(1))
    migration.await_phase("Succeeded", version="1.1.0")


def test_the_jobs_pod_has_no_credential_and_runs_restricted(
    migration: Migration, kubectl: Kubectl
) -> None:
    """No token, no root, nothing writable: the namespace enforces restricted Pod Security."""
    migration.files({"v1.1.0_wait.sql": "SELECT pg_sleep(3);\n"})
    migration.apply()

    pod = kubectl.json("get", "pod", migration.runner_pod())

    mounted = [
        mount["mountPath"]
        for container in pod["spec"]["containers"]
        for mount in container["volumeMounts"]
    ]
    assert not any("serviceaccount" in path for path in mounted)
    context = pod["spec"]["containers"][0]["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    migration.await_phase("Succeeded", version="1.1.0")


def test_progress_is_seen_while_a_run_lasts(migration: Migration) -> None:
    """The status says which file of how many runs."""
    migration.files({**tables(2), "v1.3.0_slow.sql": "SELECT pg_sleep(5);\n", **tables(1, first=4)})
    migration.apply()

    status = migration.await_status(
        "the slow file is named",
        lambda s: s.get("progress", {}).get("version") == "1.3.0",
    )

    assert (status["progress"]["number"], status["progress"]["of"]) == (3, 4)
    assert status["phase"] == "Migrating"
    assert condition_of(status, "Reconciling")["status"] == "True"
    migration.await_phase("Succeeded", version="1.4.0")
    assert "progress" not in migration.status()
