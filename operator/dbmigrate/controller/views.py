"""Makes views from the API's raw objects. Pure: dicts in, frozen values out.

What another program wrote is read leniently: a label that is missing or wrong makes a Job that
is not ours, never an exception.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from dbmigrate.api import names
from dbmigrate.api.databasemigration import (
    DatabaseMigrationSpec,
    DatabaseMigrationStatus,
    parse_spec,
)
from dbmigrate.api.names import Action
from dbmigrate.api.report.lines import parse_result
from dbmigrate.api.report.result import RunResult
from dbmigrate.controller.manifests.pod import CONTAINER
from dbmigrate.controller.observation import ConfigMapView, JobView, LiveProgress, PodView
from dbmigrate.controller.timestamps import parse_time

_MESSAGE_LIMIT = 500
_SHOWN_ERRORS = 5
_JOB_NAME_LABELS = ("batch.kubernetes.io/job-name", "job-name")


def spec_of(resource: Mapping[str, Any]) -> tuple[DatabaseMigrationSpec | None, str]:
    """The spec, or None and what is wrong with it."""
    try:
        return parse_spec(resource.get("spec") or {}), ""
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)
        shown = [
            f"spec.{'.'.join(str(part) for part in each['loc'])}: {each['msg']}"
            for each in details[:_SHOWN_ERRORS]
        ]
        if len(details) > _SHOWN_ERRORS:
            shown.append(f"and {len(details) - _SHOWN_ERRORS} more")
        return None, "; ".join(shown)


def status_of(resource: Mapping[str, Any]) -> DatabaseMigrationStatus:
    """The status; an empty one when it is not of our form, for it can be rebuilt."""
    try:
        return DatabaseMigrationStatus.model_validate(resource.get("status") or {})
    except ValidationError:
        return DatabaseMigrationStatus()


def config_map_files(config_map: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Key and SHA-256 of what the runner will take as files: see `migrations.source`."""
    found: dict[str, str] = {}
    for key, text in (config_map.get("data") or {}).items():
        if _is_file(key):
            found[key] = hashlib.sha256(text.encode()).hexdigest()
    for key, text in (config_map.get("binaryData") or {}).items():
        if _is_file(key):
            try:
                data = base64.b64decode(text)
            except binascii.Error:
                continue
            found[key] = hashlib.sha256(data).hexdigest()
    return tuple(sorted(found.items()))


def _is_file(key: str) -> bool:
    return key.endswith(".sql") and not key.startswith(".")


def missing_config_map(name: str) -> ConfigMapView:
    """A ConfigMap that is not there."""
    return ConfigMapView(name, found=False)


def is_ours(job: Mapping[str, Any], uid: str) -> bool:
    """Whether this Job belongs to the resource with that UID, by its owner reference."""
    owners = job.get("metadata", {}).get("ownerReferences") or []
    return any(owner.get("uid") == uid and owner.get("controller") for owner in owners)


def job_of(
    job: Mapping[str, Any],
    pods: Iterable[Mapping[str, Any]],
    *,
    now: datetime,
    result: RunResult | None = None,
    progress: LiveProgress | None = None,
) -> JobView | None:
    """The Job with its pods, or None when its labels are not ours.

    Args:
        job: the raw Job.
        pods: raw pods; only the Job's own are taken.
        now: what a missing time is taken for.
        result: what its log has told; else the termination message is read.
        progress: what its log has told so far.
    """
    meta = job.get("metadata", {})
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    try:
        action = Action(labels[names.LABEL_ACTION])
        run, attempt = int(labels[names.LABEL_RUN]), int(labels[names.LABEL_ATTEMPT])
        generation = int(labels[names.LABEL_GENERATION])
        digest = annotations[names.ANNOTATION_SOURCE_DIGEST]
        retries = int(annotations.get(names.ANNOTATION_RETRIES_USED, "0"))
    except (KeyError, ValueError):
        return None
    wish = names.ANNOTATION_CHECK if action is Action.CHECK else names.ANNOTATION_RETRY
    own = [pod for pod in pods if _job_name(pod) == meta.get("name")]
    status = job.get("status") or {}
    conditions = [each for each in status.get("conditions") or [] if each.get("status") == "True"]
    return JobView(
        name=meta["name"],
        action=action,
        run=run,
        attempt=attempt,
        retries_used=retries,
        generation=generation,
        source_digest=digest,
        requested=annotations.get(wish),
        created_at=parse_time(meta.get("creationTimestamp")) or now,
        finished=any(each.get("type") in ("Complete", "Failed") for each in conditions),
        deadline_exceeded=any(each.get("reason") == "DeadlineExceeded" for each in conditions),
        deleting="deletionTimestamp" in meta,
        pods=tuple(pod_of(pod, now=now) for pod in own),
        result=result or _termination_result(own),
        progress=progress,
    )


def _job_name(pod: Mapping[str, Any]) -> str | None:
    labels = pod.get("metadata", {}).get("labels") or {}
    return next((labels[label] for label in _JOB_NAME_LABELS if label in labels), None)


def runner_state(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state of the runner's container: one key, waiting, running or terminated; or none."""
    for each in (pod.get("status") or {}).get("containerStatuses") or []:
        if each.get("name") == CONTAINER:
            state: Mapping[str, Any] = each.get("state") or {}
            return state
    return {}


def _termination_result(pods: Iterable[Mapping[str, Any]]) -> RunResult | None:
    for pod in pods:
        message = (runner_state(pod).get("terminated") or {}).get("message")
        result = parse_result(message.strip()) if message else None
        if result is not None:
            return result
    return None


def pod_of(pod: Mapping[str, Any], *, now: datetime) -> PodView:
    """A pod, judged by its runner's container."""
    meta, status = pod.get("metadata", {}), pod.get("status") or {}
    state = runner_state(pod)
    terminated = state.get("terminated")
    phase_over = status.get("phase") in ("Succeeded", "Failed")
    reason, message = _waiting(status, state)
    return PodView(
        name=meta.get("name", ""),
        created_at=parse_time(meta.get("creationTimestamp")) or now,
        started="running" in state or terminated is not None,
        ended=terminated is not None or phase_over,
        exit_code=terminated.get("exitCode") if terminated else None,
        ended_reason=(terminated or {}).get("reason") or status.get("reason") or "",
        waiting_reason=reason,
        waiting_message=message[:_MESSAGE_LIMIT],
        disrupted=any(
            each.get("type") == "DisruptionTarget" and each.get("status") == "True"
            for each in status.get("conditions") or []
        ),
        deleting="deletionTimestamp" in meta,
        stop_reason=(meta.get("annotations") or {}).get(names.ANNOTATION_STOP, ""),
    )


def _waiting(status: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[str, str]:
    """Why the container has not started: its own state's word, or the scheduler's."""
    waiting = state.get("waiting")
    if waiting:
        return waiting.get("reason") or "", waiting.get("message") or ""
    for each in status.get("conditions") or []:
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            return each.get("reason") or "", each.get("message") or ""
    return "", ""
