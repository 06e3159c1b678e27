"""The operator's settings: flags and environment variables, read once at the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any

DEFAULT_RESOURCES: Mapping[str, Any] = MappingProxyType(
    {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}
)
"""What a runner asks for when neither the installation nor the resource says."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one operator process works by; `main` fills it."""

    runner_image: str
    """Image of the Jobs' container."""
    runner_image_pull_policy: str = "IfNotPresent"
    runner_resources: Mapping[str, Any] = field(default_factory=lambda: dict(DEFAULT_RESOURCES))
    ttl_seconds_after_finished: int = 3600
    """How long a finished Job and its log are kept, in seconds."""
    namespaces: tuple[str, ...] = ()
    """Namespaces to work in; empty for all."""
    identity: str = "dbmigrate-operator"
    """Name of this process in Events: the pod's name."""
    resync_interval: timedelta = timedelta(minutes=5)
    """How often every resource is looked at again."""
    concurrency: int = 10
    """How many resources are worked on at once."""
    health_port: int = 8080
    """Port of /healthz; 0 for none."""
    kubeconfig: str | None = None
    """A kubeconfig file; None for the pod's own service account, then the default file."""
    context: str | None = None
