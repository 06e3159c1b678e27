"""The Job's pod.

It holds no token and runs as nobody on a read-only root, under the restricted Pod Security
Standard. What it needs it gets as files.
"""

from __future__ import annotations

from typing import Any

from dbmigrate.api.databasemigration import DatabaseMigrationSpec
from dbmigrate.api.spec.jobtemplate import JobTemplate
from dbmigrate.controller.decision import JobPlan
from dbmigrate.controller.manifests.arguments import arguments_of
from dbmigrate.controller.manifests.files import TERMINATION_FILE, pod_volumes, volume_mounts
from dbmigrate.controller.manifests.owner import Owner
from dbmigrate.controller.settings import Settings

CONTAINER = "runner"
USER = 65532


def pod_spec(
    owner: Owner, spec: DatabaseMigrationSpec, plan: JobPlan, settings: Settings
) -> dict[str, Any]:
    """The spec of the pod that carries out a plan."""
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
                "args": arguments_of(owner, spec, plan),
                "resources": _resources(template, settings),
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "terminationMessagePath": TERMINATION_FILE,
                "terminationMessagePolicy": "File",
                "volumeMounts": volume_mounts(spec),
            }
        ],
        "volumes": pod_volumes(spec),
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
