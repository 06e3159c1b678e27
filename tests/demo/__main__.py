"""The demo: `python -m tests.demo` shows it, `python -m tests.demo down` removes it all.

It goes the way of a user: install the chart, keep migrations in a repository, apply it, watch. Then
a broken migration and its repair, and a rollback. Every command is printed before it runs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.images.build import postgres_image, project_image
from tests.cluster.node.settings import NodeError
from tests.demo.cluster import DemoCluster
from tests.demo.shell import Shell, say, title

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
NAMESPACE = "shop"
TIMEOUT = 120.0
"""Seconds until a state that must come is given up."""

BROKEN = """\
-- Bonus points for an exam. The third statement has a mistake.
CREATE TABLE public.bonuses (
    id      bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT bonuses_pkey PRIMARY KEY,
    exam_id bigint NOT NULL CONSTRAINT bonuses_exam_id_fkey REFERENCES public.exams (id),
    points  integer NOT NULL
);

COMMENT ON TABLE public.bonuses IS 'Points on top of what the questions give.';

CREATE INDEX bonuses_exam_idx ON public.bonuses (exam);
"""
MENDED = BROKEN.replace("(exam);", "(exam_id);").replace(" The third statement has a mistake.", "")
ROLLBACK = "DROP TABLE public.bonuses;\n"


def main() -> int:
    """Show the demo, or remove it; the exit status says whether it went well."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("action", nargs="?", choices=["up", "down"], default="up")
    action = parser.parse_args().action
    try:
        cluster = DemoCluster.find()
        if action == "down":
            cluster.delete()
            return 0
        _show(cluster)
    except (NodeError, subprocess.CalledProcessError, TimeoutError) as error:
        print(f"\nThe demo stopped: {error}", file=sys.stderr)
        return 1
    return 0


def _show(cluster: DemoCluster) -> None:
    begun = time.monotonic()
    title("A cluster and the image")
    cluster.create()
    image, postgres = project_image(), postgres_image()
    cluster.load(image, postgres)
    shell = Shell(cluster.kubeconfig, cluster.bin, cluster.folder)
    _write_repository(shell.folder, postgres)
    ready = time.monotonic()

    _install(shell, image)
    _first_release(shell)
    _broken_release(shell)
    _back(shell)
    title("What to try next")
    say(f"Set up in {ready - begun:.0f} s, shown in {time.monotonic() - ready:.0f} s.")
    print(
        f"export KUBECONFIG={shell.kubeconfig} PATH={shell.programs}:$PATH; cd {shell.folder}\n"
        f"kubectl -n {NAMESPACE} get dbmigrations --watch     # in a second terminal\n"
        "edit exams/v1.7.0_bonuses.sql, then kubectl apply -k .   # an applied file: Blocked\n"
        f"kubectl -n {NAMESPACE} annotate dbm exams dbmigrate.dev/check=again --overwrite\n"
        "kubectl explain databasemigrations.spec\n"
        "make demo-down                                  # leaves nothing behind"
    )


def _install(shell: Shell, image: str) -> None:
    title("Install the operator")
    repository, _, tag = image.rpartition(":")
    shell.show(
        f"helm upgrade --install dbmigrate {ROOT}/charts/dbmigrate-operator"
        " --namespace dbmigrate-system --create-namespace"
        f" --set image.repository={repository},image.tag={tag},image.pullPolicy=IfNotPresent"
        " --wait --timeout 2m | grep -E '^(NAME|STATUS|REVISION)'"
    )
    title("A PostgreSQL for the application")
    shell.feed(
        json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        *("kubectl", "apply", "-f", "-"),
    )
    shell.show(f"kubectl -n {NAMESPACE} delete dbmigrations --all --ignore-not-found", check=False)
    shell.show(
        f"kubectl -n {NAMESPACE} delete pod postgres --ignore-not-found --grace-period=1 && "
        f"kubectl -n {NAMESPACE} apply -f postgres.yaml && "
        f"kubectl -n {NAMESPACE} wait pod/postgres --for=condition=Ready --timeout=60s"
    )


def _first_release(shell: Shell) -> None:
    title("The first release: seven migrations, as a Git repository holds them")
    shell.show("ls && cat databasemigration.yaml | head -n 16")
    shell.show("kubectl apply -k .")
    _watch(shell, "Succeeded", version="1.6.0")
    shell.show(f"kubectl -n {NAMESPACE} get dbmigrations")
    say("The history in the database and the files agree, to the byte:")
    shell.show(
        f"kubectl -n {NAMESPACE} exec postgres -- psql -qU exams exams -c"
        " 'SELECT version, left(checksum, 12) AS checksum, execution_time_ms AS ms, status"
        " FROM schema_migrations ORDER BY id'"
    )
    shell.show("sha256sum exams/*.sql | cut -c1-12,65-")


def _broken_release(shell: Shell) -> None:
    title("A broken migration")
    _write(shell, "exams/v1.7.0_bonuses.sql", BROKEN)
    _write(shell, "rollbacks/v1.7.0_rollback_bonuses.sql", ROLLBACK)
    _list_files(shell.folder)
    shell.show("kubectl apply -k .")
    _watch(shell, "Failed")
    shell.show(
        f"kubectl -n {NAMESPACE} get dbm exams -o yaml"
        " | sed -n '/^  failure:/,/^  [a-z]*:$/p' | head -n 20"
    )
    say("Nothing of that file remains: its first two statements were undone with the third.")
    shell.show(
        f"kubectl -n {NAMESPACE} exec postgres -- psql -qtU exams exams -c"
        " \"SELECT coalesce(to_regclass('public.bonuses')::text, 'no table bonuses')\""
    )
    title("Mended")
    _write(shell, "exams/v1.7.0_bonuses.sql", MENDED)
    shell.show("kubectl apply -k .")
    _watch(shell, "Succeeded", version="1.7.0")


def _back(shell: Shell) -> None:
    title("Back to 1.5.0")
    say("A user has set a preference meanwhile: the rollback of 1.6.0 must not lose it.")
    shell.show(
        f"kubectl -n {NAMESPACE} exec postgres -- psql -qtU exams exams -c"
        ' "INSERT INTO user_preferences (user_id, preference_key, preference_value)'
        " SELECT id, 'theme', '\\\"dark\\\"' FROM users ORDER BY id LIMIT 1\""
    )
    say("A rollback is a change of the manifest like any other.")
    shell.show(
        f"kubectl -n {NAMESPACE} patch dbm exams --type merge"
        ' -p \'{"spec": {"targetVersion": "1.5.0"}}\''
    )
    _watch(shell, "Succeeded", version="1.5.0")
    say("What the rollbacks took away was kept first:")
    shell.show(
        f"kubectl -n {NAMESPACE} exec postgres -- psql -qU exams exams -c"
        " 'SELECT rollback_version, table_name, count(*) FROM rollback_data_log GROUP BY 1, 2'"
    )
    shell.show(f"kubectl -n {NAMESPACE} describe dbm exams | sed -n '/^Status:/,$p' | head -n 60")


def _watch(shell: Shell, phase: str, *, version: str | None = None) -> None:
    """Print the resource's row whenever it changes, until it is where it must be.

    Raises:
        TimeoutError: it did not get there.
    """
    print(f"\n$ kubectl -n {NAMESPACE} get dbmigrations --watch", flush=True)
    deadline, shown = time.monotonic() + TIMEOUT, ""
    while time.monotonic() < deadline:
        state: dict[str, Any] = json.loads(
            shell.ask("kubectl", "-n", NAMESPACE, "get", "dbm", "exams", "-o", "json") or "{}"
        )
        status = state.get("status", {})
        row = "  ".join(
            f"{word:<12}"
            for word in (
                status.get("phase", "-"),
                f"{status.get('currentVersion', '-')} → {status.get('targetVersion', '-')}",
                _progress(status),
                (status.get("message") or "").partition("\n")[0],
            )
        )
        if row != shown:
            print(f"  {row.rstrip()[:170]}", flush=True)
            shown = row
        fresh = status.get("observedGeneration") == state.get("metadata", {}).get("generation")
        there = version is None or status.get("currentVersion") == version
        if fresh and there and status.get("phase") == phase:
            return
        time.sleep(0.1)
    raise TimeoutError(f"exams did not become {phase} within {TIMEOUT:.0f} s")


def _progress(status: dict[str, Any]) -> str:
    progress = status.get("progress") or {}
    return f"{progress['number']} of {progress['of']}" if "number" in progress else ""


def _write(shell: Shell, file: str, text: str) -> None:
    print(f"\n$ cat > {file} <<'SQL'\n{text.rstrip()}\nSQL", flush=True)
    (shell.folder / file).write_text(text, encoding="utf-8")


def _write_repository(folder: Path, postgres: str) -> None:
    """The folder that stands for the user's Git repository, made afresh."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / "repository", folder)
    shutil.copy(ROOT / "config/kustomize/dbmigrate.yaml", folder)
    for name, source in (("exams", "migrations"), ("rollbacks", "migrations/rollbacks")):
        (folder / name).mkdir()
        for file in (ROOT / source).glob("*.sql"):
            shutil.copy(file, folder / name)
    checks = yaml.safe_load((ROOT / "migrations/checks.yaml").read_text(encoding="utf-8"))
    manifest = folder / "databasemigration.yaml"
    text = manifest.read_text(encoding="utf-8").rpartition("  # integrityChecks")[0]
    listed = yaml.safe_dump(
        {"integrityChecks": checks["integrityChecks"]}, sort_keys=False, indent=2
    )
    indented = "".join(f"  {line}\n" for line in listed.splitlines())
    manifest.write_text(text + indented, encoding="utf-8")
    server = (HERE / "postgres.yaml").read_text(encoding="utf-8")
    (folder / "postgres.yaml").write_text(server.replace("POSTGRES_IMAGE", postgres))
    _list_files(folder)


def _list_files(folder: Path) -> None:
    """Name each file in kustomization.yaml, as its configMapGenerator wants it."""
    path = folder / "kustomization.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    for generator, name in zip(content["configMapGenerator"], ("exams", "rollbacks"), strict=True):
        generator["files"] = sorted(f"{name}/{file.name}" for file in (folder / name).glob("*.sql"))
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
