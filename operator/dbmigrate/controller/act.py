"""Carries out a decision: the status first, then the Job, then what is to be stopped, then Events.

The status is written under the resource's version that the decision was made on. When somebody
wrote in between, nothing at all is done and the resource is looked at again: so of two operators
only one goes on to create a Job.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dbmigrate.api import names
from dbmigrate.api.databasemigration import DatabaseMigrationStatus
from dbmigrate.controller import views
from dbmigrate.controller.decision import Decision, JobPlan, StopPod
from dbmigrate.controller.kube import (
    CONFLICT,
    NOT_FOUND,
    Kube,
    KubeError,
    core_path,
    jobs_path,
    resources_path,
)
from dbmigrate.controller.manifests.event import event_manifest
from dbmigrate.controller.manifests.job import job_manifest
from dbmigrate.controller.manifests.owner import Owner
from dbmigrate.controller.observation import Observation
from dbmigrate.controller.settings import Settings

ALREADY_EXISTS = "AlreadyExists"

_log = logging.getLogger(__name__)


class JobRefusedError(Exception):
    """The API server would not take a Job: a quota, an admission policy, a name that does not fit.

    Attributes:
        message: the API server's sentence.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Actor:
    """Writes to the API.

    Args:
        kube: the API.
        settings: the operator's settings.
    """

    kube: Kube
    settings: Settings

    async def act(
        self, observation: Observation, resource: Mapping[str, Any], decision: Decision
    ) -> str | None:
        """Do what was decided; the resource's new version if its status was written.

        Raises:
            KubeError: with status 409 when the resource was changed in between (look again);
                else the API server's refusal.
            JobRefusedError: everything was done, but the API server did not take the Job.
        """
        version = await self._write_status(observation, resource, decision.status)
        refused = None
        if decision.create is not None:
            try:
                await self._create(observation, decision.create)
            except JobRefusedError as error:
                refused = error
        for stop in decision.stop:
            await self._stop(observation.namespace, stop)
        for job in decision.delete_jobs:
            await self._delete(observation.namespace, job)
        for note in decision.events:
            body = event_manifest(
                _owner(observation), note, now=observation.now, identity=self.settings.identity
            )
            await self._tell(observation.namespace, body)
        if refused is not None:
            raise refused
        return version

    async def _write_status(
        self,
        observation: Observation,
        resource: Mapping[str, Any],
        status: DatabaseMigrationStatus,
    ) -> str | None:
        changes = difference(resource.get("status") or {}, status_data(status))
        if not changes:
            return None
        path = resources_path(observation.namespace, observation.name) + "/status"
        meta = {"resourceVersion": resource["metadata"]["resourceVersion"]}
        written = await self.kube.merge_patch(path, {"metadata": meta, "status": changes})
        _log.info("%s: %s", status.phase, status.message)
        return str(written["metadata"]["resourceVersion"])

    async def _create(self, observation: Observation, plan: JobPlan) -> None:
        if observation.spec is None:
            return
        body = job_manifest(_owner(observation), observation.spec, plan, self.settings)
        try:
            await self.kube.create(jobs_path(observation.namespace), body)
        except KubeError as error:
            if error.status == CONFLICT and error.reason == ALREADY_EXISTS:
                # Any other conflict (a quota's own record) made no Job: it is tried again.
                await self._adopt(observation, plan)
            elif error.status in (400, 403, 404, 422):
                _log.warning("the Job %s is refused: %s", plan.name, error.message)
                raise JobRefusedError(error.message) from error
            else:
                raise
        else:
            _log.info("created the Job %s", plan.name, extra={"job": plan.name})

    async def _adopt(self, observation: Observation, plan: JobPlan) -> None:
        """Somebody has made a Job of that name: it is taken as ours only if it is ours."""
        try:
            job = await self.kube.get(jobs_path(observation.namespace, plan.name))
        except KubeError as error:
            if error.status == NOT_FOUND:
                return
            raise
        if not views.is_ours(job, observation.uid):
            raise JobRefusedError(
                f"a Job named {plan.name} exists that does not belong to this resource"
            )
        _log.info("the Job %s exists already", plan.name, extra={"job": plan.name})

    async def _stop(self, namespace: str, stop: StopPod) -> None:
        body = {"metadata": {"annotations": {names.ANNOTATION_STOP: stop.reason}}}
        try:
            await self.kube.merge_patch(core_path("pods", namespace, stop.pod), body)
        except KubeError as error:
            if error.status != NOT_FOUND:
                raise
        else:
            _log.info("asked the pod %s to stop after its file: %s", stop.pod, stop.reason)

    async def _delete(self, namespace: str, job: str) -> None:
        try:
            await self.kube.delete(jobs_path(namespace, job), {"propagationPolicy": "Background"})
        except KubeError as error:
            if error.status != NOT_FOUND:
                raise
        else:
            _log.info("deleted the Job %s, whose pod had not started", job, extra={"job": job})

    async def _tell(self, namespace: str, body: Mapping[str, Any]) -> None:
        """An Event is news for people: that it could not be told must not stop anything."""
        try:
            await self.kube.create(core_path("events", namespace), body)
        except KubeError as error:
            if error.status != CONFLICT:
                _log.warning("an Event could not be told: %s", error)


def _owner(observation: Observation) -> Owner:
    return Owner(observation.namespace, observation.name, observation.uid)


def status_data(status: DatabaseMigrationStatus) -> dict[str, Any]:
    """The status as the API has it: what is empty is absent."""
    data = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {key: value for key, value in data.items() if value not in ([], {})}


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7396) that makes new from old; empty when they are equal."""
    changes: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner = difference(before, value)
            if inner:
                changes[key] = inner
        elif key not in old or before != value:
            changes[key] = value
    return changes
