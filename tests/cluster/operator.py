"""The operator as its users install it: by the chart, from the image of this tree."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.awaiting import until
from tests.cluster.clients import client_program

if TYPE_CHECKING:
    from tests.cluster.kubectl import Kubectl

CHART = Path(__file__).parents[2] / "charts" / "dbmigrate-operator"
NAMESPACE = "dbmigrate-system"
DEPLOYMENT = "deployment/dbmigrate-dbmigrate-operator"
_PODS = "--selector=app.kubernetes.io/name=dbmigrate-operator"


@dataclass(frozen=True)
class Operator:
    """The installed operator."""

    kubectl: Kubectl
    """kubectl in the operator's namespace."""

    image: str

    def install(self, **values: str) -> None:
        """Install or upgrade the release, and wait until the operator is ready.

        Args:
            values: Further values of the chart, with `__` for a dot.
        """
        repository, _, tag = self.image.rpartition(":")
        wanted = {
            "image.repository": repository,
            "image.tag": tag,
            "log.level": "debug",
            **{name.replace("__", "."): value for name, value in values.items()},
        }
        sets = [f"--set={name}={value}" for name, value in wanted.items()]
        done = subprocess.run(
            [
                str(client_program("helm")),
                *("upgrade", "--install", "dbmigrate", str(CHART), "--create-namespace"),
                *(f"--namespace={NAMESPACE}", "--wait", "--timeout=2m"),
                # A CRD that an earlier release left behind is taken over.
                *("--take-ownership", "--force-conflicts", *sets),
            ],
            check=False,
            capture_output=True,
            text=True,
            env={**self.kubectl.environment(), "KUBECONFIG": str(self.kubectl.kubeconfig)},
        )
        assert done.returncode == 0, done.stderr

    def restart(self) -> None:
        """Let new pods take the place of the old ones: the image may have changed under its tag."""
        self.scale(0)
        self.scale(1)

    def scale(self, replicas: int) -> None:
        """Run so many operators, and wait until that is so."""
        self.kubectl("scale", DEPLOYMENT, f"--replicas={replicas}")
        if replicas == 0:
            self.kubectl("delete", "pods", _PODS, "--grace-period=1", "--wait=true")
            until(lambda: not self.pods(), "the operator's pods are gone")
        else:
            self.kubectl("rollout", "status", DEPLOYMENT, "--timeout=60s")

    def kill(self) -> None:
        """End the operator at once, as SIGKILL does, and leave none running."""
        self.kubectl("scale", DEPLOYMENT, "--replicas=0")
        self.kubectl("delete", "pods", _PODS, "--grace-period=0", "--force", "--wait=true")
        until(lambda: not self.pods(), "the operator's pods are gone")

    def pods(self) -> list[str]:
        """Names of the operator's pods."""
        return self.kubectl("get", "pods", _PODS, "--output=name").split()

    def log(self) -> str:
        """What the operators have logged."""
        return self.kubectl("logs", _PODS, "--tail=-1", "--prefix")
