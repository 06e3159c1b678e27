"""Reads one resource and all that belongs to it from the API into an `Observation`.

The resource is read first: what is read after it can only be newer, and a status that was
written meanwhile makes ours be refused (see `act`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from dbmigrate.api import names
from dbmigrate.api.report.lines import parse_result
from dbmigrate.api.report.result import RunResult
from dbmigrate.controller import views
from dbmigrate.controller.decide.jobs import recorded_run
from dbmigrate.controller.follow import Followers
from dbmigrate.controller.kube import (
    METADATA_ONLY,
    NOT_FOUND,
    Kube,
    KubeError,
    core_path,
    jobs_path,
    resources_path,
)
from dbmigrate.controller.manifests.pod import CONTAINER
from dbmigrate.controller.observation import ConfigMapView, JobView, Observation

_TAIL = "50"
"""Lines of a log's end. The container runtime cuts a long line into pieces of 16 KiB, and kubelet
counts the pieces; and stderr may follow the result."""


@dataclass(slots=True)
class ConfigMaps:
    """Reads ConfigMaps; what has not changed is not fetched again. Contents are not kept."""

    kube: Kube
    _known: dict[tuple[str, str], tuple[str, ConfigMapView]] = field(default_factory=dict)

    async def read(self, namespace: str, name: str) -> ConfigMapView:
        """The ConfigMap's files and their checksums, as they are now."""
        path = core_path("configmaps", namespace, name)
        key = (namespace, name)
        try:
            known = self._known.get(key)
            if known is not None:
                meta = await self.kube.get(path, accept=METADATA_ONLY)
                if known[0] == _version(meta):
                    return known[1]
            data = await self.kube.get(path)
        except KubeError as error:
            self._known.pop(key, None)
            if error.status == NOT_FOUND:
                return views.missing_config_map(name)
            raise
        view = ConfigMapView(name, found=True, files=views.config_map_files(data))
        self._known[key] = (_version(data), view)
        return view

    def forget(self, namespace: str, name: str) -> None:
        """Nobody names it any more."""
        self._known.pop((namespace, name), None)


def _version(data: Mapping[str, Any]) -> str:
    meta = data.get("metadata") or {}
    return f"{meta.get('uid')}/{meta.get('resourceVersion')}"


@dataclass(slots=True)
class Observer:
    """Reads what a decision needs.

    Args:
        kube: the API.
        followers: what running Jobs have told in their logs so far.
        clock: the present time, in UTC.
    """

    kube: Kube
    followers: Followers
    clock: Callable[[], datetime]
    config_maps: ConfigMaps = field(init=False)

    def __post_init__(self) -> None:
        self.config_maps = ConfigMaps(self.kube)

    async def observe(
        self, namespace: str, name: str, *, uncreated: str = "", job_refused: str = ""
    ) -> tuple[Observation, Mapping[str, Any]] | None:
        """The resource with all that belongs to it, and the raw resource; None if it is gone.

        Raises:
            KubeError: the API server refused a read.
        """
        try:
            resource = await self.kube.get(resources_path(namespace, name))
        except KubeError as error:
            if error.status == NOT_FOUND:
                return None
            raise
        meta = resource["metadata"]
        spec, spec_error = views.spec_of(resource)
        observation = Observation(
            now=self.clock(),
            namespace=namespace,
            name=name,
            uid=meta["uid"],
            generation=meta["generation"],
            spec=spec,
            spec_error=spec_error,
            status=views.status_of(resource),
            retry=(meta.get("annotations") or {}).get(names.ANNOTATION_RETRY),
            check=(meta.get("annotations") or {}).get(names.ANNOTATION_CHECK),
            deleting="deletionTimestamp" in meta,
            uncreated=uncreated,
            job_refused=job_refused,
        )
        if spec is None or observation.deleting:
            return observation, resource
        maps = [self.config_maps.read(namespace, part.name) for part in spec.source.config_maps]
        jobs, read = await asyncio.gather(self._jobs(observation), asyncio.gather(*maps))
        return replace(observation, jobs=jobs, config_maps=tuple(read)), resource

    async def _jobs(self, observation: Observation) -> tuple[JobView, ...]:
        query = {"labelSelector": f"{names.LABEL_RESOURCE_UID}={observation.uid}"}
        jobs = await self.kube.get(jobs_path(observation.namespace), query)
        items = [each for each in jobs["items"] if views.is_ours(each, observation.uid)]
        if not items:
            return ()
        # Pods are read after their Jobs: a Job that is finished has its last pod state there.
        pods = await self.kube.get(core_path("pods", observation.namespace), query)
        booked = recorded_run(observation.status)
        found = [await self._job(observation, each, pods["items"], booked) for each in items]
        return tuple(sorted((job for job in found if job), key=lambda job: job.run))

    async def _job(
        self,
        observation: Observation,
        job: Mapping[str, Any],
        pods: list[Mapping[str, Any]],
        booked: int,
    ) -> JobView | None:
        told = self.followers.of(observation.namespace, job["metadata"]["name"])
        result = told.result if told else None
        progress = told.progress if told else None
        view = views.job_of(job, pods, now=observation.now, result=result, progress=progress)
        if view is None or result is not None or view.run <= booked or not view.over:
            return view
        # It has ended and its log was not followed to the end: the last line has all of it.
        full = await self._last_line(observation.namespace, view)
        return replace(view, result=full) if full is not None else view

    async def _last_line(self, namespace: str, job: JobView) -> RunResult | None:
        for pod in job.pods:
            if not pod.started:
                continue
            path = core_path("pods", namespace, pod.name) + "/log"
            try:
                text = await self.kube.text(path, {"container": CONTAINER, "tailLines": _TAIL})
            except KubeError:
                continue
            for line in reversed(text.splitlines()):
                result = parse_result(line)
                if result is not None:
                    return result
        return None
