"""Where the tests find helm and kubectl: the node's own, else the machine's.

A test that needs one fails with a sentence when there is none; it is never skipped.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import pytest

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
            f"There is no {name}: `make cluster-up` builds it, or install it into PATH.",
            pytrace=False,
        )
    return Path(found)
