"""One condition of the status."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from dbmigrate.api.base import ApiModel


class Condition(ApiModel):
    """One condition, as in the Kubernetes API conventions."""

    type: Annotated[str, StringConstraints(max_length=64)]
    """Kind of the condition, such as Ready."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    """One word why."""
    message: Annotated[str, StringConstraints(max_length=1024)] = ""
    """A sentence why, and what to do next."""
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When its status last changed."""
    observed_generation: int | None = None
    """The generation of the spec that it speaks of."""
