from __future__ import annotations

import json

from tests.unit.controller.situations import CHECK, NOON, UID, spec

from dbmigrate.api.names import Action
from dbmigrate.controller.decision import EventNote, EventType, JobPlan
from dbmigrate.controller.manifests.event import event_manifest
from dbmigrate.controller.manifests.job import job_manifest
from dbmigrate.controller.manifests.owner import Owner
from dbmigrate.controller.settings import Settings

OWNER = Owner("shop", "exams", UID)
SETTINGS = Settings(runner_image="registry.example/dbmigrate:1", runner_resources={"limits": {}})
DIGEST = "d" * 64
STOP_ANNOTATION = "metadata.annotations['dbmigrate.dev/stop']"
PLAN = JobPlan(
    name="exams-0123456789",
    action=Action.MIGRATE,
    run=3,
    attempt=2,
    retries_used=1,
    generation=7,
    source_digest=DIGEST,
    requested="again",
)
LABELS = {
    "app.kubernetes.io/name": "dbmigrate",
    "app.kubernetes.io/managed-by": "dbmigrate-operator",
    "dbmigrate.dev/uid": UID,
    "dbmigrate.dev/action": "migrate",
    "dbmigrate.dev/generation": "7",
    "dbmigrate.dev/attempt": "2",
    "dbmigrate.dev/run": "3",
    "dbmigrate.dev/source": "d" * 63,
}
COMMON = [
    *("--database-secret", "/database", "--history-schema", "public"),
    *("--environment", "production", "--expect-source", DIGEST, "--applied-by", "shop/exams"),
    *("--resource-uid", UID, "--resource-generation", "7", "--wait-lock", "10m"),
    *("--lock-timeout", "2s", "--lock-retries", "20", "--lock-retry-timeout", "5m"),
    *("--statement-timeout", "0s", "--stop-file", "/podinfo/stop"),
    *("--termination-message", "/dev/termination-log"),
]
RULES = [
    *("--out-of-order", "refuse", "--database-ahead", "refuse", "--foreign-history", "refuse"),
]
LINT = ["--lint-level", "report"]


def arguments(plan=PLAN, **changes):
    """The runner's arguments."""
    made = job_manifest(OWNER, spec(**changes), plan, SETTINGS)
    return made["spec"]["template"]["spec"]["containers"][0]["args"]


def test_whole_job():
    """The Job of a plain resource, to the last field."""
    source = {"configMaps": [{"name": "exams-sql"}, {"name": "exams-back", "path": "rollbacks"}]}
    assert job_manifest(OWNER, spec(source=source), PLAN, SETTINGS) == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "exams-0123456789",
            "namespace": "shop",
            "labels": LABELS,
            "annotations": {
                "dbmigrate.dev/resource": "shop/exams",
                "dbmigrate.dev/source-digest": DIGEST,
                "dbmigrate.dev/retries-used": "1",
                "dbmigrate.dev/retry": "again",
            },
            "ownerReferences": [
                {
                    "apiVersion": "dbmigrate.dev/v1alpha1",
                    "kind": "DatabaseMigration",
                    "name": "exams",
                    "uid": UID,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": 86400,
            "ttlSecondsAfterFinished": 3600,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Count",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    }
                ]
            },
            "template": {
                "metadata": {
                    "labels": LABELS,
                    "annotations": {"dbmigrate.dev/resource": "shop/exams"},
                },
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 30,
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 65532,
                        "runAsGroup": 65532,
                        "fsGroup": 65532,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "runner",
                            "image": "registry.example/dbmigrate:1",
                            "imagePullPolicy": "IfNotPresent",
                            "command": ["dbmigrate"],
                            "args": [
                                *("--output", "json", "up"),
                                *("--source", "/source/0", "--source", "/source/1"),
                                *COMMON,
                                *RULES,
                                *LINT,
                            ],
                            "resources": {"limits": {}},
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"]},
                            },
                            "terminationMessagePath": "/dev/termination-log",
                            "terminationMessagePolicy": "File",
                            "volumeMounts": [
                                {"name": "source-0", "mountPath": "/source/0", "readOnly": True},
                                {
                                    "name": "source-1",
                                    "mountPath": "/source/1/rollbacks",
                                    "readOnly": True,
                                },
                                {"name": "database", "mountPath": "/database", "readOnly": True},
                                {"name": "podinfo", "mountPath": "/podinfo", "readOnly": True},
                                {"name": "tmp", "mountPath": "/tmp"},
                            ],
                        }
                    ],
                    "volumes": [
                        {"name": "source-0", "configMap": {"name": "exams-sql"}},
                        {"name": "source-1", "configMap": {"name": "exams-back"}},
                        {
                            "name": "database",
                            "secret": {"secretName": "exams-db", "defaultMode": 0o440},
                        },
                        {
                            "name": "podinfo",
                            "downwardAPI": {
                                "items": [
                                    {
                                        "path": "stop",
                                        "fieldRef": {"fieldPath": STOP_ANNOTATION},
                                    }
                                ]
                            },
                        },
                        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
                    ],
                },
            },
        },
    }


def test_job_template_is_followed_and_cannot_take_our_labels():
    """What a user gives the pod is there; what finds and guards the pod stays ours."""
    template = {
        "image": "registry.example/other:2",
        "imagePullSecrets": [{"name": "pull"}],
        "serviceAccountName": "cloud",
        "resources": {"requests": {"cpu": "1"}},
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "db", "operator": "Exists", "effect": "NoSchedule"}],
        "priorityClassName": "high",
        "labels": {"team": "exams", "dbmigrate.dev/uid": "stolen"},
        "annotations": {"sidecar.istio.io/inject": "false"},
    }
    made = job_manifest(OWNER, spec(jobTemplate=template), PLAN, SETTINGS)["spec"]["template"]
    pod = made["spec"]
    assert made["metadata"]["labels"] == {"team": "exams", **LABELS}
    assert made["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
    assert pod["containers"][0]["image"] == "registry.example/other:2"
    assert pod["containers"][0]["resources"] == {"requests": {"cpu": "1"}}
    assert pod["serviceAccountName"] == "cloud"
    assert pod["automountServiceAccountToken"] is False
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert pod["nodeSelector"] == {"disk": "fast"}
    assert pod["tolerations"] == [{"key": "db", "operator": "Exists", "effect": "NoSchedule"}]
    assert pod["priorityClassName"] == "high"


def test_inline_files_travel_in_the_pods_annotations():
    """Each is an annotation and a file of the same text; the order is the manifest's."""
    inline = {"v1.0.0_a.sql": "select 1;\n", "v1.0.0_rollback.sql": "select 2;"}
    made = job_manifest(OWNER, spec(source={"inline": inline}), PLAN, SETTINGS)
    template = made["spec"]["template"]
    annotations = template["metadata"]["annotations"]
    assert annotations["source.dbmigrate.dev/0"] == "select 1;\n"
    assert annotations["source.dbmigrate.dev/1"] == "select 2;"
    volume = template["spec"]["volumes"][0]
    assert volume["name"] == "source-inline"
    assert [
        (each["path"], each["fieldRef"]["fieldPath"]) for each in volume["downwardAPI"]["items"]
    ] == [
        ("v1.0.0_a.sql", "metadata.annotations['source.dbmigrate.dev/0']"),
        ("v1.0.0_rollback.sql", "metadata.annotations['source.dbmigrate.dev/1']"),
    ]
    assert "/source/inline" in template["spec"]["containers"][0]["args"]


def test_checks_are_given_as_the_file_that_the_runner_reads():
    """The annotation holds what `--checks` wants: a mapping with integrityChecks."""
    wanted = spec(integrityChecks=[CHECK])
    template = job_manifest(OWNER, wanted, PLAN, SETTINGS)["spec"]["template"]
    text = template["metadata"]["annotations"]["dbmigrate.dev/checks"]
    assert json.loads(text) == {"integrityChecks": [CHECK]}
    assert template["spec"]["containers"][0]["args"][-2:] == ["--checks", "/podinfo/checks"]


def test_the_linter_is_told_what_the_resource_says():
    """Only where something is applied; rules in an order that does not change."""
    wanted = {"level": "Refuse", "rules": {"renaming-column": "Ignore", "ban-drop-view": "Report"}}
    assert arguments(lint=wanted)[-4:] == [
        *("--lint-level", "refuse"),
        *("--lint-rules", "ban-drop-view=report,renaming-column=off"),
    ]
    for action in (Action.STATUS, Action.CHECK):
        plan = JobPlan(**{**_fields(PLAN), "action": action})
        assert "--lint-level" not in arguments(plan, lint=wanted)


def test_settings_and_rules_are_told_to_a_migrating_run_alone():
    """Settings in the order of their names; `$` is no variable of the container's."""
    execution = {
        "settings": {"work_mem": "64MB", "app.price": "$(HOME) $1"},
        "outOfOrder": "Warn",
        "databaseAhead": "Warn",
    }
    assert arguments(execution=execution)[-12:-2] == [
        *("--out-of-order", "warn", "--database-ahead", "warn", "--foreign-history", "refuse"),
        *("--set", "app.price=$$(HOME) $$1", "--set", "work_mem=64MB"),
    ]
    plan = JobPlan(**{**_fields(PLAN), "action": Action.STATUS})
    assert not {"--set", "--out-of-order"} & set(arguments(plan, execution=execution))


def test_what_a_rollback_loses_is_kept_as_the_resource_says():
    """Only where the way may lead back: `up` does not take these options."""
    to = arguments(targetVersion="1.0.0")
    assert to[-6:-2] == ["--keep-data", "on", "--keep-limit", str(256 << 20)]
    rollback = {"keepData": False, "keepLimit": "2Gi", "backupCovers": "base-$1"}
    to = arguments(targetVersion="1.0.0", rollback=rollback)
    assert to[-8:-2] == [
        *("--keep-data", "off", "--keep-limit", str(2 << 30), "--backup-covers", "base-$$1"),
    ]
    assert "--keep-data" not in arguments(rollback=rollback)


def test_inline_files_may_stand_in_folders():
    """A mounted annotation's path may have one."""
    inline = {"v1.0.0_a.sql": "select 1;\n", "repeatable/views.sql": "select 2;"}
    made = job_manifest(OWNER, spec(source={"inline": inline}), PLAN, SETTINGS)
    items = made["spec"]["template"]["spec"]["volumes"][0]["downwardAPI"]["items"]
    assert [each["path"] for each in items] == ["v1.0.0_a.sql", "repeatable/views.sql"]


def test_commands():
    """Latest goes up, a version either way; asking uses its own commands."""
    plan = {action: JobPlan(**{**_fields(PLAN), "action": action}) for action in Action}
    assert arguments()[2:3] == ["up"]
    assert arguments(targetVersion="1.2.0")[2:4] == ["to", "1.2.0"]
    assert arguments(plan[Action.STATUS])[2] == "status"
    assert arguments(plan[Action.CHECK], integrityChecks=[CHECK])[2] == "check"
    assert "--checks" not in arguments(plan[Action.STATUS], integrityChecks=[CHECK])


def _fields(plan):
    return {name: getattr(plan, name) for name in JobPlan.__dataclass_fields__}


def test_revision_is_recorded_as_the_commit():
    """spec.source.revision becomes git_commit_hash."""
    source = {"configMaps": [{"name": "exams-sql"}], "revision": "4f2c9d1"}
    assert arguments(source=source)[-2:] == ["--git-commit", "4f2c9d1"]


def test_event_has_one_name_whoever_tells_it():
    """Two operators that see the same tell it once; another Job is another Event."""
    note = EventNote(EventType.NORMAL, "Migrated", "applied 1.0.0", "exams-1")
    one = event_manifest(OWNER, note, now=NOON, identity="a")
    assert one == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": one["metadata"]["name"], "namespace": "shop"},
        "involvedObject": {
            "apiVersion": "dbmigrate.dev/v1alpha1",
            "kind": "DatabaseMigration",
            "namespace": "shop",
            "name": "exams",
            "uid": UID,
        },
        "type": "Normal",
        "reason": "Migrated",
        "message": "applied 1.0.0",
        "firstTimestamp": "2026-06-01T12:00:00Z",
        "lastTimestamp": "2026-06-01T12:00:00Z",
        "count": 1,
        "action": "Migrated",
        "source": {"component": "dbmigrate-operator"},
        "reportingComponent": "dbmigrate-operator",
        "reportingInstance": "a",
    }
    other = EventNote(EventType.NORMAL, "Migrated", "applied 1.1.0", "exams-2")
    names = {
        event_manifest(OWNER, each, now=NOON, identity="b")["metadata"]["name"]
        for each in (note, other)
    }
    assert one["metadata"]["name"] in names
    assert len(names) == 2


def test_all_files_can_be_asked_for_as_one_transaction():
    """As the command line's option."""
    together = arguments(execution={"transaction": "All"})
    assert together[together.index("--transaction") :][:2] == ["--transaction", "all"]
    assert "--transaction" not in arguments()
