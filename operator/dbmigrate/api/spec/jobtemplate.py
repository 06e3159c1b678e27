"""What the Job's pod gets beside what the operator decides."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from dbmigrate.api.base import ApiModel
from dbmigrate.api.spec.fields import Labels, LocalReference, Name, Quantity


class ResourceRequirements(ApiModel):
    """What the runner's container asks for and may use."""

    requests: Annotated[dict[str, Quantity], Field(max_length=16)] = {}
    """Least amounts, by resource name, such as cpu and memory."""

    limits: Annotated[dict[str, Quantity], Field(max_length=16)] = {}
    """Greatest amounts, by resource name."""


class Toleration(ApiModel):
    """A taint that the Job's pod tolerates."""

    key: Annotated[str, StringConstraints(max_length=316)] | None = None
    """Key of the taint; empty with operator Exists means all."""
    operator: Literal["Exists", "Equal"] | None = None
    """How key and value are compared."""
    value: Annotated[str, StringConstraints(max_length=63)] | None = None
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; empty means all."""
    toleration_seconds: Annotated[int, Field(ge=0)] | None = None
    """How long a NoExecute taint is tolerated, in seconds."""


class JobTemplate(ApiModel):
    """What the Job's pod gets beside what the operator decides."""

    image: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    """Image of the runner; the operator's own when not given."""

    image_pull_secrets: Annotated[tuple[LocalReference, ...], Field(max_length=8)] = ()
    """Secrets for pulling the image."""

    service_account_name: Name | None = None
    """Service account of the pod, for cloud identities; its token is not mounted."""

    resources: ResourceRequirements | None = None
    """Requests and limits of the runner's container; the operator's defaults when not given."""

    node_selector: Labels = {}
    """Labels that the node must have."""

    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16)] = ()
    """Taints that the pod tolerates."""

    priority_class_name: Name | None = None
    """Priority class of the pod."""

    labels: Labels = {}
    """Further labels of the pod, for network policies and cost reports."""

    annotations: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=4096)]], Field(max_length=32)
    ] = {}
    """Further annotations of the pod, such as sidecar.istio.io/inject."""
