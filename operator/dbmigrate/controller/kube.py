"""The Kubernetes API as the operator needs it: plain JSON, no generated model classes.

Everything here is one request; what to do about its answer is decided elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import load_incluster_config, load_kube_config
from kubernetes.aio.config.config_exception import ConfigException

from dbmigrate import __version__
from dbmigrate.api import names

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_TIMEOUT = aiohttp.ClientTimeout(total=30)
_LINE_LIMIT = 8 * 1024 * 1024

NOT_FOUND = 404
CONFLICT = 409


class KubeError(Exception):
    """The API server's refusal.

    Attributes:
        status: the HTTP status code.
        reason: its one word, such as NotFound, Conflict or AlreadyExists.
        message: its sentence.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


def resources_path(namespace: str | None = None, name: str | None = None) -> str:
    """Where DatabaseMigrations are; without a namespace, those of all."""
    return _path(f"/apis/{names.GROUP}/{names.VERSION}", namespace, names.PLURAL, name)


def jobs_path(namespace: str, name: str | None = None) -> str:
    """Where Jobs are."""
    return _path("/apis/batch/v1", namespace, "jobs", name)


def core_path(kind: str, namespace: str, name: str | None = None) -> str:
    """Where objects of the core group are, such as pods, configmaps, events."""
    return _path("/api/v1", namespace, kind, name)


def _path(root: str, namespace: str | None, plural: str, name: str | None) -> str:
    parts = [root]
    if namespace is not None:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(plural)
    if name is not None:
        parts.append(quote(name, safe=""))
    return "/".join(parts)


class Kube:
    """A connection to one API server."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        configuration.connection_pool_maxsize = 0  # each followed log holds a connection
        self._client = ApiClient(configuration)
        self._client.user_agent = f"{names.MANAGER}/{__version__}"

    @classmethod
    async def connect(cls, kubeconfig: str | None, context: str | None = None) -> Self:
        """Use the kubeconfig that is named, or the pod's service account, or the default file.

        Raises:
            ConfigException: none of them is there, or it cannot be used.
        """
        configuration = Configuration()
        if kubeconfig is None:
            try:
                load_incluster_config(configuration)
            except ConfigException:
                await load_kube_config(context=context, client_configuration=configuration)
        else:
            await load_kube_config(
                kubeconfig,
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
        return cls(configuration)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def get(
        self, path: str, query: Mapping[str, str] | None = None, *, accept: str = JSON
    ) -> dict[str, Any]:
        """Read an object or a list."""
        return await self._json("GET", path, query=query, accept=accept)

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object."""
        return await self._json("POST", path, body=body)

    async def merge_patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change an object by a JSON merge patch (RFC 7396)."""
        return await self._json("PATCH", path, body=body, content_type=MERGE_PATCH)

    async def delete(self, path: str, body: Mapping[str, Any]) -> None:
        """Delete an object."""
        await self._json("DELETE", path, body=body)

    async def stream(self, path: str, query: Mapping[str, str]) -> AsyncIterator[str]:
        """The lines of an endless answer (a log that is followed, a watch).

        A line longer than 8 MiB ends the stream: nothing of ours writes such a one.
        """
        timeout = aiohttp.ClientTimeout(total=None, connect=30, sock_read=None)
        response = await self._request("GET", path, query=query, timeout=timeout)
        raw = response.response
        try:
            rest = b""
            async for chunk in raw.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line.decode("utf-8", "replace")
                if len(rest) > _LINE_LIMIT:
                    return
            if rest:
                yield rest.decode("utf-8", "replace")
        finally:
            raw.close()

    async def text(self, path: str, query: Mapping[str, str]) -> str:
        """An answer that is text, such as the end of a log."""
        response = await self._request("GET", path, query=query)
        data: bytes = await response.read()
        return data.decode("utf-8", "replace")

    async def _json(  # noqa: PLR0913 -- the parts of a request
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> dict[str, Any]:
        response = await self._request(
            method, path, query=query, body=body, content_type=content_type, accept=accept
        )
        data = json.loads(await response.read())
        if not isinstance(data, dict):
            raise KubeError(0, "NotAnObject", f"{path}: the API server sent no object")
        return data

    async def _request(  # noqa: PLR0913 -- the parts of a request
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
        accept: str = "*/*",
        timeout: aiohttp.ClientTimeout = _TIMEOUT,  # noqa: ASYNC109 -- aiohttp's own
    ) -> Any:
        headers = {"Accept": accept, "User-Agent": self._client.user_agent}
        if body is not None:
            headers["Content-Type"] = content_type
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self.configuration.host + path
        if query:
            url += "?" + urlencode(query)
        response = await self._client.rest_client.request(
            method, url, headers=headers, body=body, _request_timeout=timeout
        )
        if response.status >= 400:  # noqa: PLR2004 -- HTTP's own line
            raise _refusal(response.status, response.reason, await response.read())
        return response


def _refusal(status: int, reason: str | None, data: bytes) -> KubeError:
    try:
        told = json.loads(data)
        return KubeError(status, told.get("reason") or reason or "", told.get("message") or "")
    except (ValueError, AttributeError):
        return KubeError(status, reason or "", data[:500].decode("utf-8", "replace"))
