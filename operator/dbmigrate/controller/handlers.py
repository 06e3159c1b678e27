"""kopf's handlers: each only says which resource is to be looked at.

They are all ``on.event``: kopf then writes nothing to any object, neither annotations nor
finalizers. A Job's or pod's event wakes its resource only when something changed that a decision
could rest on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import kopf

from dbmigrate.api import names
from dbmigrate.controller import views
from dbmigrate.controller.kube import Kube, KubeError, resources_path
from dbmigrate.controller.reconcile import Reconciler, config_maps_of
from dbmigrate.controller.settings import Settings

_log = logging.getLogger(__name__)

DELETED = "DELETED"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ON_ITS_WAY = frozenset({"ContainerCreating", "PodInitializing"})


@dataclass(slots=True)
class Handlers:
    """What is called for each event of a watch stream.

    Args:
        reconciler: whom to wake.
    """

    reconciler: Reconciler
    seen: dict[str, str] = field(default_factory=dict)
    """Newest version of each resource that the stream has told, by UID; see `health`."""
    _prints: dict[str, Hashable] = field(default_factory=dict)

    def resource(self, event: Mapping[str, Any], **_: Any) -> None:
        """A DatabaseMigration was made, changed, found at the start, or is gone."""
        body = event["object"]
        meta = body["metadata"]
        namespace, name, version = meta["namespace"], meta["name"], meta["resourceVersion"]
        if event["type"] == DELETED:
            self.seen.pop(meta["uid"], None)
        else:
            self.seen[meta["uid"]] = version
            self.reconciler.names_config_maps(namespace, name, config_maps_of(body))
            if self.reconciler.wrote(namespace, name, version):
                return
        self.reconciler.wake(namespace, name)

    def job(self, event: Mapping[str, Any], **_: Any) -> None:
        """A Job of ours changed: only its end, its deletion and its loss are news."""
        body = event["object"]
        conditions = (body.get("status") or {}).get("conditions") or []
        meta = body["metadata"]
        told = tuple(sorted((each.get("type"), each.get("status")) for each in conditions))
        new = meta["uid"] not in self._prints
        changed = self._changed(event, (told, "deletionTimestamp" in meta))
        if changed and (not new or told or event["type"] == DELETED):
            self._wake_owner(body)

    def pod(self, event: Mapping[str, Any], **_: Any) -> None:
        """A pod of ours changed."""
        body = event["object"]
        view = views.pod_of(body, now=_EPOCH)
        waiting = "" if view.waiting_reason in _ON_ITS_WAY else view.waiting_reason
        told = (
            view.ended,
            view.exit_code,
            waiting,
            view.disrupted,
            view.deleting,
            view.stop_reason,
        )
        if self._changed(event, told):
            self._wake_owner(body)

    def config_map(self, event: Mapping[str, Any], **_: Any) -> None:
        """A ConfigMap changed: those who name it are looked at."""
        meta = event["object"]["metadata"]
        self.reconciler.wake_users(meta["namespace"], meta["name"])

    def _changed(self, event: Mapping[str, Any], told: Hashable) -> bool:
        uid = event["object"]["metadata"]["uid"]
        if event["type"] == DELETED:
            self._prints.pop(uid, None)
            return True
        if self._prints.get(uid) == told:
            return False
        self._prints[uid] = told
        return True

    def _wake_owner(self, body: Mapping[str, Any]) -> None:
        annotations = body["metadata"].get("annotations") or {}
        namespace, _, name = annotations.get(names.ANNOTATION_RESOURCE, "").partition("/")
        if namespace == body["metadata"]["namespace"] and name:
            self.reconciler.wake(namespace, name)


def register(handlers: Handlers, kube: Kube) -> kopf.OperatorRegistry:
    """A registry with our handlers and our own login, and nothing else."""
    registry = kopf.OperatorRegistry()
    kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)(handlers.resource)
    kopf.on.event("batch", "v1", "jobs", registry=registry)(handlers.job)
    kopf.on.event("", "v1", "pods", registry=registry)(handlers.pod)
    kopf.on.event("", "v1", "configmaps", registry=registry)(handlers.config_map)

    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _connection(kube)

    kopf.on.login(registry=registry)(login)
    return registry


async def _connection(kube: Kube) -> kopf.ConnectionInfo:
    """Credentials for kopf: the same as those of `kube`."""
    configuration = kube.configuration
    header = await configuration.get_api_key_with_prefix("BearerToken")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        ca_data=configuration.ca_cert_data,
        insecure=not configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        token=header.split(" ", 1)[-1] if header else None,
    )


def _kopf_settings() -> kopf.OperatorSettings:
    """Settings of kopf: it watches only what is labelled as ours, and posts nothing."""
    found = kopf.OperatorSettings()
    found.posting.enabled = False
    found.peering.standalone = True
    found.scanning.disabled = True
    # Each object has a worker that holds it until it has been idle for so long.
    found.watching.chunk_size = 50
    found.queueing.idle_timeout = 0.5
    ours = f"{names.LABEL_MANAGED_BY}={names.MANAGER}"
    found.watching.label_selectors["batch", "v1", "jobs"] = ours
    found.watching.label_selectors["", "v1", "pods"] = ours
    # Below the API server's own 30-60 minutes: a stream that died unnoticed comes back.
    found.watching.server_timeout = 600
    found.process.ultimate_exiting_timeout = None
    return found


async def watch(handlers: Handlers, kube: Kube, settings: Settings) -> None:
    """Watch until cancelled. kopf looks for resource kinds once: ours must be there by then."""
    while True:
        try:
            namespace = settings.namespaces[0] if settings.namespaces else None
            await kube.get(resources_path(namespace), {"limit": "1"})
            break
        except KubeError as error:
            _log.warning("waiting for the CustomResourceDefinition: %s", error)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _log.warning("the API server is not to be reached: %r", error)
        await asyncio.sleep(2)
    await kopf.operator(
        registry=register(handlers, kube),
        settings=_kopf_settings(),
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
    )
