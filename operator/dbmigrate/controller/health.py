"""Whether this process still does its work, told at ``/healthz``.

An answer alone proves little: a watch stream can die silently (kopf's issues 955, 1145, 1276). So
at each resync the list is held against what the stream has told. A resource whose version the
stream never told, a good while after, means that the stream is dead: the probe fails and kubelet
starts the operator anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from dbmigrate.controller.kube import Kube, resources_path
from dbmigrate.controller.reconcile import Reconciler
from dbmigrate.controller.settings import Settings

_log = logging.getLogger(__name__)

STREAM_PATIENCE = 30.0
"""Seconds that the stream may be behind the list."""
_RESYNC_MISSES = 3
_STUCK = 60.0


@dataclass(slots=True)
class Health:
    """What the probe asks.

    Args:
        monotonic: seconds that never go back.
        resync: seconds between two resyncs.
    """

    monotonic: Callable[[], float]
    resync: float
    deaf: bool = False
    """The watch stream misses changes that are there."""
    last_resync: float | None = None

    def problem(self) -> str | None:
        """Why this process should be started anew, or None."""
        if self.deaf:
            return "the watch stream of DatabaseMigrations is dead"
        if self.last_resync is None:
            return None
        silent = self.monotonic() - self.last_resync
        if silent > _RESYNC_MISSES * self.resync + _STUCK:
            return f"no resync for {int(silent)} seconds"
        return None


@dataclass(slots=True)
class Resync:
    """Looks at every resource again, and at whether the stream told all of them.

    Args:
        kube: the API.
        reconciler: whom to wake.
        settings: the operator's settings.
        seen: newest version of each resource that the stream has told, by UID.
        health: where a dead stream is told.
    """

    kube: Kube
    reconciler: Reconciler
    settings: Settings
    seen: Mapping[str, str]
    health: Health
    patience: float = STREAM_PATIENCE
    _missed: dict[str, str] = field(default_factory=dict)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await asyncio.sleep(self.settings.resync_interval.total_seconds())
            try:
                await self.once()
            except Exception as error:  # noqa: BLE001 -- the next round tries again
                _log.warning("resync failed: %r", error)

    async def once(self) -> None:
        """One round."""
        listed = await self._list()
        for meta in listed:
            self.reconciler.wake(meta["namespace"], meta["name"])
        there = {(meta["namespace"], meta["name"]) for meta in listed}
        for key in set(self.reconciler.keys()) - there:
            self.reconciler.wake(*key)  # its end was missed: it is to be forgotten
        self.health.last_resync = self.health.monotonic()
        behind = {
            meta["uid"]: meta["resourceVersion"]
            for meta in listed
            if self.seen.get(meta["uid"]) != meta["resourceVersion"]
        }
        if not behind:
            self.health.deaf = False
            return
        await asyncio.sleep(self.patience)
        # Still at that version, and still not told by the stream: it missed it.
        missed = [
            meta["name"]
            for meta in await self._list()
            if behind.get(meta["uid"]) == meta["resourceVersion"] != self.seen.get(meta["uid"])
        ]
        if missed:
            _log.error("the watch stream missed changes of %s", ", ".join(missed[:10]))
        self.health.deaf = bool(missed)

    async def _list(self) -> list[dict[str, Any]]:
        namespaces = self.settings.namespaces or (None,)
        found: list[dict[str, Any]] = []
        for namespace in namespaces:
            query = {"limit": "500"}
            while True:
                page = await self.kube.get(resources_path(namespace), query)
                found.extend(each["metadata"] for each in page["items"])
                more = page["metadata"].get("continue")
                if not more:
                    break
                query = {"limit": "500", "continue": more}
        return found


async def serve(health: Health, port: int) -> None:
    """Answer ``/healthz`` until cancelled: 200 ``ok``, or 503 with the reason."""

    async def healthz(_: web.Request) -> web.Response:
        problem = health.problem()
        return web.Response(text=problem or "ok", status=503 if problem else 200)

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz)])
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
