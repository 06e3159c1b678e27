"""Builds the objects that the operator creates: the Job and the Event. Pure: values to dicts.

The pod holds no token, runs as nobody on a read-only root under the restricted Pod Security
Standard, and gets what it needs as files: ConfigMaps, the Secret, and its own annotations.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dbmigrate.api import names
from dbmigrate.api.databasemigration import DatabaseMigrationSpec
from dbmigrate.api.names import Action
from dbmigrate.api.spec.execution import Execution
from dbmigrate.api.spec.jobtemplate import JobTemplate
from dbmigrate.controller.decision import EventNote, JobPlan
from dbmigrate.controller.settings import Settings
from dbmigrate.controller.timestamps import format_time

CONTAINER = "runner"
USER = 65532
INLINE_ANNOTATION = f"source.{names.GROUP}"
CHECKS_ANNOTATION = f"{names.GROUP}/checks"

SOURCE_MOUNT = "/source"
"""Below it each ConfigMap of the source has a folder by its number, and inline files `inline`."""
_DATABASE = "/database"
_PODINFO = "/podinfo"
_TERMINATION = "/dev/termination-log"
_COMMANDS = {Action.STATUS: "status", Action.CHECK: "check"}
_LABEL_LENGTH = 63
_BYTES = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_LEVELS = {"Ignore": "off", "Report": "report", "Refuse": "refuse"}
"""The linter's levels as the command line has them: a bare ``Off`` is false in YAML."""


def api_version() -> str:
    """``dbmigrate.dev/v1alpha1``."""
    return f"{names.GROUP}/{names.VERSION}"


@dataclass(frozen=True, slots=True)
class Owner:
    """The resource that an object is made for."""

    namespace: str
    name: str
    uid: str


def job(
    owner: Owner, spec: DatabaseMigrationSpec, plan: JobPlan, settings: Settings
) -> dict[str, Any]:
    """The Job that carries out a plan."""
    labels = {
        names.LABEL_NAME: "dbmigrate",
        names.LABEL_MANAGED_BY: names.MANAGER,
        names.LABEL_RESOURCE_UID: owner.uid,
        names.LABEL_ACTION: plan.action.value,
        names.LABEL_GENERATION: str(plan.generation),
        names.LABEL_ATTEMPT: str(plan.attempt),
        names.LABEL_RUN: str(plan.run),
        names.LABEL_SOURCE: plan.source_digest[:_LABEL_LENGTH],
    }
    annotations = {
        names.ANNOTATION_RESOURCE: f"{owner.namespace}/{owner.name}",
        names.ANNOTATION_SOURCE_DIGEST: plan.source_digest,
        names.ANNOTATION_RETRIES_USED: str(plan.retries_used),
    }
    if plan.requested is not None:
        wish = names.ANNOTATION_CHECK if plan.action is Action.CHECK else names.ANNOTATION_RETRY
        annotations[wish] = plan.requested
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": plan.name,
            "namespace": owner.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [
                {
                    "apiVersion": api_version(),
                    "kind": names.KIND,
                    "name": owner.name,
                    "uid": owner.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": spec.execution.active_deadline_seconds,
            "ttlSecondsAfterFinished": settings.ttl_seconds_after_finished,
            "podReplacementPolicy": "Failed",
            # An eviction counts as a failure: the operator makes the next attempt, by its rules.
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
                    "labels": {**spec.job_template.labels, **labels},
                    "annotations": {
                        **_foreign(spec.job_template.annotations),
                        names.ANNOTATION_RESOURCE: f"{owner.namespace}/{owner.name}",
                        **_pod_annotations(spec),
                    },
                },
                "spec": _pod(owner, spec, plan, settings),
            },
        },
    }


def _foreign(annotations: Mapping[str, str]) -> dict[str, str]:
    """Without those of our group: a stop that every pod is born with would never end."""
    return {
        key: text
        for key, text in annotations.items()
        if not key.partition("/")[0].endswith(names.GROUP)
    }


def _pod_annotations(spec: DatabaseMigrationSpec) -> dict[str, str]:
    """What the pod reads of itself: inline files and checks, too small for objects of their own."""
    found = {
        f"{INLINE_ANNOTATION}/{index}": text
        for index, text in enumerate(spec.source.inline.values())
    }
    if spec.integrity_checks:
        checks = [
            check.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            for check in spec.integrity_checks
        ]
        found[CHECKS_ANNOTATION] = json.dumps({"integrityChecks": checks})
    return found


def _pod(
    owner: Owner, spec: DatabaseMigrationSpec, plan: JobPlan, settings: Settings
) -> dict[str, Any]:
    template = spec.job_template
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 30,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": CONTAINER,
                "image": template.image or settings.runner_image,
                "imagePullPolicy": settings.runner_image_pull_policy,
                "command": ["dbmigrate"],
                "args": _arguments(owner, spec, plan),
                "resources": _resources(template, settings),
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "terminationMessagePath": _TERMINATION,
                "terminationMessagePolicy": "File",
                "volumeMounts": _mounts(spec),
            }
        ],
        "volumes": _volumes(spec),
    }
    pod.update(_placement(template))
    return pod


def _resources(template: JobTemplate, settings: Settings) -> dict[str, Any]:
    if template.resources is None:
        return dict(settings.runner_resources)
    return template.resources.model_dump(exclude_defaults=True)


def _placement(template: JobTemplate) -> dict[str, Any]:
    wanted = {
        "serviceAccountName": template.service_account_name,
        "imagePullSecrets": [{"name": each.name} for each in template.image_pull_secrets],
        "nodeSelector": dict(template.node_selector),
        "tolerations": [
            each.model_dump(by_alias=True, exclude_none=True) for each in template.tolerations
        ],
        "priorityClassName": template.priority_class_name,
    }
    return {key: value for key, value in wanted.items() if value}


def _arguments(owner: Owner, spec: DatabaseMigrationSpec, plan: JobPlan) -> list[str]:
    command = [_COMMANDS[plan.action]] if plan.action in _COMMANDS else _migrate(spec)
    arguments = ["--output", "json", *command]
    for folder in _folders(spec):
        arguments += ["--source", folder]
    arguments += [
        "--database-secret",
        _DATABASE,
        "--history-schema",
        spec.database.history_schema,
        "--environment",
        spec.environment,
        "--expect-source",
        plan.source_digest,
        "--applied-by",
        f"{owner.namespace}/{owner.name}",
        "--resource-uid",
        owner.uid,
        "--resource-generation",
        str(plan.generation),
        "--wait-lock",
        spec.execution.advisory_lock_timeout,
        "--lock-timeout",
        spec.execution.lock_timeout,
        "--lock-retries",
        str(spec.execution.lock_retries),
        "--lock-retry-timeout",
        spec.execution.lock_retry_timeout,
        "--statement-timeout",
        spec.execution.statement_timeout,
        "--stop-file",
        f"{_PODINFO}/stop",
        "--termination-message",
        _TERMINATION,
    ]
    if plan.action is Action.MIGRATE:
        arguments += [*_rules(spec.execution), *_keeping(spec), *_lint(spec)]
    if spec.execution.transaction == "All":
        arguments += ["--transaction", "all"]
    if spec.source.revision is not None:
        arguments += ["--git-commit", spec.source.revision]
    if spec.integrity_checks and plan.action is not Action.STATUS:
        arguments += ["--checks", f"{_PODINFO}/checks"]
    return arguments


def _migrate(spec: DatabaseMigrationSpec) -> list[str]:
    return ["up"] if spec.target_version == "latest" else ["to", spec.target_version]


def _rules(execution: Execution) -> list[str]:
    arguments = [
        "--out-of-order",
        execution.out_of_order.lower(),
        "--database-ahead",
        execution.database_ahead.lower(),
        "--foreign-history",
        execution.foreign_history.lower(),
    ]
    for name, value in sorted(execution.settings.items()):
        # In a container's arguments $(NAME) is a variable, and $$ the character itself.
        arguments += ["--set", f"{name}={value}".replace("$", "$$")]
    return arguments


def _keeping(spec: DatabaseMigrationSpec) -> list[str]:
    """What becomes of data that are lost; `up` loses none."""
    if spec.target_version == "latest":
        return []
    rollback = spec.rollback
    limit = int(rollback.keep_limit[:-2]) * _BYTES[rollback.keep_limit[-2:]]
    arguments = ["--keep-data", "on" if rollback.keep_data else "off", "--keep-limit", str(limit)]
    if rollback.backup_covers is not None:
        arguments += ["--backup-covers", rollback.backup_covers.replace("$", "$$")]
    return arguments


def _lint(spec: DatabaseMigrationSpec) -> list[str]:
    lint = spec.lint
    arguments = ["--lint-level", _LEVELS[lint.level]]
    if lint.rules:
        levels = (f"{rule}={_LEVELS[level]}" for rule, level in sorted(lint.rules.items()))
        arguments += ["--lint-rules", ",".join(levels)]
    return arguments


def _folders(spec: DatabaseMigrationSpec) -> list[str]:
    folders = [f"{SOURCE_MOUNT}/{index}" for index in range(len(spec.source.config_maps))]
    return [*folders, f"{SOURCE_MOUNT}/inline"] if spec.source.inline else folders


def _mounts(spec: DatabaseMigrationSpec) -> list[dict[str, Any]]:
    mounts = [
        {
            "name": f"source-{index}",
            "mountPath": f"{SOURCE_MOUNT}/{index}" + (f"/{part.path}" if part.path else ""),
            "readOnly": True,
        }
        for index, part in enumerate(spec.source.config_maps)
    ]
    if spec.source.inline:
        mounts.append(
            {"name": "source-inline", "mountPath": f"{SOURCE_MOUNT}/inline", "readOnly": True}
        )
    return [
        *mounts,
        {"name": "database", "mountPath": _DATABASE, "readOnly": True},
        {"name": "podinfo", "mountPath": _PODINFO, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- the pod's own, not this machine's
    ]


def _volumes(spec: DatabaseMigrationSpec) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [
        {"name": f"source-{index}", "configMap": {"name": part.name}}
        for index, part in enumerate(spec.source.config_maps)
    ]
    if spec.source.inline:
        items = [
            _annotation_file(name, f"{INLINE_ANNOTATION}/{index}")
            for index, name in enumerate(spec.source.inline)
        ]
        volumes.append({"name": "source-inline", "downwardAPI": {"items": items}})
    podinfo = [_annotation_file("stop", names.ANNOTATION_STOP)]
    if spec.integrity_checks:
        podinfo.append(_annotation_file("checks", CHECKS_ANNOTATION))
    return [
        *volumes,
        {
            "name": "database",
            "secret": {"secretName": spec.database.secret_ref.name, "defaultMode": 0o440},
        },
        {"name": "podinfo", "downwardAPI": {"items": podinfo}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
    ]


def _annotation_file(path: str, annotation: str) -> dict[str, Any]:
    return {"path": path, "fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}


def event(owner: Owner, note: EventNote, *, now: datetime, identity: str) -> dict[str, Any]:
    """A core/v1 Event. Its name comes from what it tells: two operators tell it once."""
    digest = hashlib.sha256(f"{owner.uid}/{note.reason}/{note.key}".encode()).hexdigest()[:16]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{owner.name}.{digest}", "namespace": owner.namespace},
        "involvedObject": {
            "apiVersion": api_version(),
            "kind": names.KIND,
            "namespace": owner.namespace,
            "name": owner.name,
            "uid": owner.uid,
        },
        "type": note.type.value,
        "reason": note.reason,
        "message": note.message,
        "firstTimestamp": format_time(now),
        "lastTimestamp": format_time(now),
        "count": 1,
        "action": note.reason,
        "source": {"component": names.MANAGER},
        "reportingComponent": names.MANAGER,
        "reportingInstance": identity[:128],
    }
