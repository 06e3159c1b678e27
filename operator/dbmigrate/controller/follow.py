"""Follows the logs of running Jobs: what a runner tells while it works, and its result.

What a log says is news, not truth: it is lost with this process, and everything that is decided
on it is confirmed by the container's end or by asking the database. A log is read from a pod's
first moment: kubelet tells of a started container up to a second late.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from dbmigrate.api.report.lines import parse_result
from dbmigrate.api.report.result import RunResult
from dbmigrate.controller.kube import NOT_FOUND, Kube, KubeError, core_path
from dbmigrate.controller.manifests.pod import CONTAINER
from dbmigrate.controller.observation import LiveProgress
from dbmigrate.controller.telling import is_same_statement, told_progress

_log = logging.getLogger(__name__)

Wake = Callable[[str, str], None]

_FIRST_NEWS = 1.0
"""Seconds that a run has to last before the status tells of its progress."""
_NEXT_NEWS = 2.0
"""Seconds between two progresses in the status."""
_NEXT_PERCENT = 10.0
"""Seconds between two that differ in nothing but how far one statement is."""
_START = 0.3
"""Seconds before which no container runs: sandbox, network and mounts take longer."""
_EAGER_PAUSE = 0.1
_EAGER_TRIES = 8
_GROWTH = 1.5
_CALM_PAUSE = 5.0
"""Many pods at once start slowly: asking each ten times a second would slow them more."""


@dataclass(slots=True)
class Told:
    """What one Job's log has told so far."""

    resource: str
    progress: LiveProgress | None = None
    result: RunResult | None = None


@dataclass(slots=True)
class Followers:
    """All logs that are being followed, by namespace and Job.

    Args:
        kube: the API.
        wake: called with namespace and name of the resource when there is news.
    """

    kube: Kube
    wake: Wake
    _told: dict[tuple[str, str], Told] = field(default_factory=dict)
    _tasks: dict[tuple[str, str], asyncio.Task[None]] = field(default_factory=dict)

    def of(self, namespace: str, job: str) -> Told | None:
        """What this Job has told; None when it is not followed."""
        return self._told.get((namespace, job))

    def follow(self, namespace: str, resource: str, job: str, pod: str) -> None:
        """Begin to follow, if it is not followed already."""
        key = (namespace, job)
        if key in self._tasks:
            return
        told = self._told.setdefault(key, Told(resource))
        follower = _Follower(self.kube, self.wake, namespace, resource, pod, told)
        self._tasks[key] = asyncio.create_task(follower.run(), name=f"log of {job}")

    def keep(self, namespace: str, resource: str, jobs: set[str]) -> None:
        """Forget all Jobs of a resource but these, those that are gone included."""
        own = [key for key, told in self._told.items() if told.resource == resource]
        for key in own:
            if key[0] == namespace and key[1] not in jobs:
                self._drop(key)

    def forget(self, namespace: str, resource: str) -> None:
        """Forget all Jobs of a resource that is gone."""
        self.keep(namespace, resource, set())

    def _drop(self, key: tuple[str, str]) -> None:
        self._told.pop(key, None)
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Stop following."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(slots=True)
class _Follower:
    kube: Kube
    wake: Wake
    namespace: str
    resource: str
    pod: str
    told: Told
    lines: int = 0
    last_news: float = 0.0
    due: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Read until the result is there or the pod is gone; a broken stream is taken up again."""
        try:
            tries, pause = 0, _EAGER_PAUSE
            await asyncio.sleep(_START)
            while self.told.result is None:
                try:
                    ended = await self._read()
                except KubeError as error:
                    if error.status == NOT_FOUND:
                        return
                    ended = False
                except (aiohttp.ClientError, TimeoutError) as error:
                    _log.debug("log stream of %s broke: %r", self.pod, error)
                    ended = False
                if ended:
                    return
                tries += 1
                await asyncio.sleep(pause)
                if tries >= _EAGER_TRIES:
                    pause = min(pause * _GROWTH, _CALM_PAUSE)
        finally:
            if self.due is not None:
                self.due.cancel()

    async def _read(self) -> bool:
        """One stream, from the log's start; whether the container's log has ended."""
        path = core_path("pods", self.namespace, self.pod) + "/log"
        number = 0
        async for line in self.kube.stream(path, {"container": CONTAINER, "follow": "true"}):
            number += 1
            if number > self.lines:
                self.lines = number
                self._line(line)
            if self.told.result is not None:
                return True
        return False

    def _line(self, line: str) -> None:
        loop = asyncio.get_running_loop()
        if self.lines == 1:
            self.last_news = loop.time() + _FIRST_NEWS - _NEXT_NEWS
        result = parse_result(line)
        if result is not None:
            self.told.result = result
            self.wake(self.namespace, self.resource)
            return
        progress = told_progress(self.told.progress, line)
        if progress is None or progress == self.told.progress:
            return
        before, self.told.progress = self.told.progress, progress
        gap = _NEXT_PERCENT if is_same_statement(before, progress) else _NEXT_NEWS
        at = max(loop.time(), self.last_news + gap)
        if self.due is not None and self.due.when() > at:
            self.due.cancel()
            self.due = None
        if self.due is None:
            self.due = loop.call_at(at, self._news)

    def _news(self) -> None:
        self.due = None
        self.last_news = asyncio.get_running_loop().time()
        self.wake(self.namespace, self.resource)
