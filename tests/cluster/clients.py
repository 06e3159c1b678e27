"""Where the tests find helm and kubectl (the node's own, else the machine's), and what helm awaits.

A test that needs a program fails with a sentence when there is none; it is never skipped.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Literal

import pytest

from tests.cluster.kubectl import Kubectl, KubectlError
from tests.cluster.node.binaries import locate
from tests.cluster.node.settings import Layout


def client_program(name: Literal["helm", "kubectl"]) -> Path:
    """Return the program's path; the test fails when there is none."""
    built = locate(Layout.of_user()).client / name
    if built.exists():
        return built
    found = shutil.which(name)
    if found is None:
        pytest.fail(
            f"There is no {name}: install it, or let `make cluster-up` build the node's own.",
            pytrace=False,
        )
    return Path(found)


def await_served(kubectl: Kubectl, group: str, *, timeout: float = 30) -> None:
    """Wait until the API server serves a new CRD: its discovery comes after `Established`.

    `kubectl wait --for=condition=Established` is no help: it fails at once on a CRD so new that
    the server has not filled its list of conditions.
    """
    end = time.monotonic() + timeout
    while True:
        try:
            groups = kubectl("get", "--raw", "/apis", timeout=timeout)
            kubectl("get", "--raw", f"/apis/{group}/v1alpha1", timeout=timeout)
        except KubectlError:
            groups = ""
        if f'"{group}"' in groups:
            return
        assert time.monotonic() < end, f"{group} is not served {timeout} s after its CRD was made"
        time.sleep(0.1)
