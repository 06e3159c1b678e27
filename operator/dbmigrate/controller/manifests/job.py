"""The Job that carries out a plan: what it is found by, and when Kubernetes gives it up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dbmigrate.api import names
from dbmigrate.api.databasemigration import DatabaseMigrationSpec
from dbmigrate.api.names import Action
from dbmigrate.controller.decision import JobPlan
from dbmigrate.controller.manifests.files import pod_annotations
from dbmigrate.controller.manifests.owner import Owner, api_version
from dbmigrate.controller.manifests.pod import pod_spec
from dbmigrate.controller.settings import Settings

_LABEL_LENGTH = 63


def job_manifest(
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
                        **pod_annotations(spec),
                    },
                },
                "spec": pod_spec(owner, spec, plan, settings),
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
