"""The files that the pod gets: ConfigMaps, the Secret, and its own annotations.

Inline files and integrity checks are too small for objects of their own: they are annotations of
the pod, mounted by the downward API.
"""

from __future__ import annotations

import json
from typing import Any

from dbmigrate.api import names
from dbmigrate.api.databasemigration import DatabaseMigrationSpec

INLINE_ANNOTATION = f"source.{names.GROUP}"
CHECKS_ANNOTATION = f"{names.GROUP}/checks"
SOURCE_MOUNT = "/source"
"""Below it each ConfigMap of the source has a folder by its number, and inline files `inline`."""
DATABASE_MOUNT = "/database"
PODINFO_MOUNT = "/podinfo"
TERMINATION_FILE = "/dev/termination-log"


def pod_annotations(spec: DatabaseMigrationSpec) -> dict[str, str]:
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


def source_folders(spec: DatabaseMigrationSpec) -> list[str]:
    """The folders that the runner reads the source from."""
    folders = [f"{SOURCE_MOUNT}/{index}" for index in range(len(spec.source.config_maps))]
    return [*folders, f"{SOURCE_MOUNT}/inline"] if spec.source.inline else folders


def volume_mounts(spec: DatabaseMigrationSpec) -> list[dict[str, Any]]:
    """Where each volume is mounted in the runner's container."""
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
        {"name": "database", "mountPath": DATABASE_MOUNT, "readOnly": True},
        {"name": "podinfo", "mountPath": PODINFO_MOUNT, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- the pod's own, not this machine's
    ]


def pod_volumes(spec: DatabaseMigrationSpec) -> list[dict[str, Any]]:
    """The volumes of the pod."""
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
