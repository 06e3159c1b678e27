"""The one way of every handler: wake a resource, and it is observed, decided on and acted upon.

Reconciles of one resource never overlap in a process, and none is lost: a wake while one runs
makes another follow. What is kept in memory only saves work (timers, an index of ConfigMaps);
all of it is made anew at a start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from dbmigrate.controller.act import Actor, JobRefusedError
from dbmigrate.controller.decide import decide
from dbmigrate.controller.decision import Decision
from dbmigrate.controller.follow import Followers
from dbmigrate.controller.kube import CONFLICT, NOT_FOUND, Kube, KubeError
from dbmigrate.controller.logs import about
from dbmigrate.controller.observation import Observation
from dbmigrate.controller.observe import Observer
from dbmigrate.controller.settings import Settings

_log = logging.getLogger(__name__)

Key = tuple[str, str]
"""Namespace and name of a resource."""

REFUSED_PAUSE = timedelta(seconds=30)
"""How long to wait after the API server would not take a Job."""
_ERROR_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_MANY_CONFLICTS = 20


@dataclass(slots=True)
class _Entry:
    queued: bool = False
    running: bool = False
    dirty: bool = False
    timer: asyncio.TimerHandle | None = None
    errors: int = 0
    uncreated: str = ""
    refused: tuple[str, datetime] | None = None
    written: str | None = None
    config_maps: frozenset[str] = frozenset()


@dataclass(slots=True)
class Reconciler:
    """All resources of this process.

    Args:
        kube: the API.
        settings: the operator's settings.
        clock: the present time, in UTC.
    """

    kube: Kube
    settings: Settings
    clock: Callable[[], datetime]
    followers: Followers = field(init=False)
    _observer: Observer = field(init=False)
    _actor: Actor = field(init=False)
    _entries: dict[Key, _Entry] = field(default_factory=dict)
    _queue: asyncio.Queue[Key] = field(default_factory=asyncio.Queue)
    _users: dict[Key, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.followers = Followers(self.kube, self.wake)
        self._observer = Observer(self.kube, self.followers, self.clock)
        self._actor = Actor(self.kube, self.settings)

    def wake(self, namespace: str, name: str) -> None:
        """Look at this resource soon."""
        key = (namespace, name)
        entry = self._entries.setdefault(key, _Entry())
        if entry.running:
            entry.dirty = True
        elif not entry.queued:
            entry.queued = True
            self._queue.put_nowait(key)

    def wake_users(self, namespace: str, config_map: str) -> None:
        """Look at every resource that names this ConfigMap."""
        for name in sorted(self._users.get((namespace, config_map), ())):
            self.wake(namespace, name)

    def wrote(self, namespace: str, name: str, version: str) -> bool:
        """Whether this version of the resource is one that we made ourselves, last."""
        entry = self._entries.get((namespace, name))
        return entry is not None and entry.written == version

    def names_config_maps(self, namespace: str, name: str, config_maps: Iterable[str]) -> None:
        """Remember which ConfigMaps a resource names."""
        entry = self._entries.setdefault((namespace, name), _Entry())
        now = frozenset(config_maps)
        for gone in entry.config_maps - now:
            users = self._users.get((namespace, gone), set())
            users.discard(name)
            if not users:
                self._users.pop((namespace, gone), None)
                self._observer.config_maps.forget(namespace, gone)
        for new in now - entry.config_maps:
            self._users.setdefault((namespace, new), set()).add(name)
        entry.config_maps = now

    def keys(self) -> list[Key]:
        """Every resource that is known."""
        return list(self._entries)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.settings.concurrency):
                    group.create_task(self._worker())
        finally:
            await self.followers.close()

    async def _worker(self) -> None:
        while True:
            key = await self._queue.get()
            entry = self._entries.get(key)
            if entry is None:
                continue
            entry.queued, entry.running, entry.dirty = False, True, False
            if entry.timer is not None:
                entry.timer.cancel()
                entry.timer = None
            try:
                with about(*key):
                    await self._guarded(key, entry)
            finally:
                entry.running = False
            if entry.dirty:  # even if it was found gone: it may have been made anew since
                self.wake(*key)

    async def _guarded(self, key: Key, entry: _Entry) -> None:
        try:
            await self.reconcile(*key)
        except KubeError as error:
            if error.status == CONFLICT and entry.errors < _MANY_CONFLICTS:
                # Somebody wrote in between; the newer state decides.
                entry.dirty = True
            elif error.status != NOT_FOUND:
                _log.warning("the API server refused: %s", error)
                self._later(key, entry, self._pause(entry))
            entry.errors += 1
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _log.warning("the API server is not to be reached: %r", error)
            self._later(key, entry, self._pause(entry))
            entry.errors += 1
        except Exception:  # noqa: BLE001 -- our own fault, which must not stop others
            _log.exception("reconcile failed")
            self._later(key, entry, self._pause(entry))
            entry.errors += 1
        else:
            entry.errors = 0

    @staticmethod
    def _pause(entry: _Entry) -> float:
        return _ERROR_PAUSES[min(entry.errors, len(_ERROR_PAUSES) - 1)]

    def _later(self, key: Key, entry: _Entry, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if entry.timer is not None:
            entry.timer.cancel()
        entry.timer = loop.call_later(max(0.0, seconds), self.wake, *key)

    async def reconcile(self, namespace: str, name: str) -> None:
        """Observe, decide, act, once.

        Raises:
            KubeError: the API server refused something; with 409, look again.
        """
        key = (namespace, name)
        entry = self._entries.setdefault(key, _Entry())
        seen = await self._observer.observe(
            namespace,
            name,
            uncreated=entry.uncreated,
            job_refused=self._refused(entry, self.clock()),
        )
        if seen is None:
            self._forget(key)
            return
        observation, resource = seen
        if observation.spec is not None:
            maps = [part.name for part in observation.spec.source.config_maps]
            self.names_config_maps(namespace, name, maps)
        with about(namespace, name, uid=observation.uid, generation=observation.generation):
            decision = decide(observation)
            entry.uncreated = decision.create.name if decision.create else ""
            try:
                version = await self._actor.act(observation, resource, decision)
            except JobRefusedError as error:
                entry.refused = (error.message, observation.now + REFUSED_PAUSE)
                entry.uncreated, entry.dirty = "", True
                return
        entry.uncreated = ""
        if version is not None:
            entry.written = version
        self._follow(observation, decision)
        if decision.again_at is not None:
            self._later(key, entry, (decision.again_at - self.clock()).total_seconds())

    @staticmethod
    def _refused(entry: _Entry, now: datetime) -> str:
        if entry.refused is None:
            return ""
        message, until = entry.refused
        if now < until:
            return message
        entry.refused = None
        return ""

    def _follow(self, observation: Observation, decision: Decision) -> None:
        self.followers.keep(observation.namespace, observation.name, set(decision.follow))
        for job in observation.jobs:
            if job.name in decision.follow and job.pods:
                pod = job.pods[-1].name
                self.followers.follow(observation.namespace, observation.name, job.name, pod)

    def _forget(self, key: Key) -> None:
        self.names_config_maps(*key, ())
        self.followers.forget(*key)
        entry = self._entries.pop(key, None)
        if entry is not None and entry.timer is not None:
            entry.timer.cancel()


def config_maps_of(resource: Mapping[str, Any]) -> list[str]:
    """Names of the ConfigMaps that a raw resource names, valid or not."""
    source = (resource.get("spec") or {}).get("source") or {}
    return [part["name"] for part in source.get("configMaps") or [] if "name" in part]
