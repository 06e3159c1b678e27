"""kubectl for tests: always with a kubeconfig that was named, never the caller's own context."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


class KubectlError(Exception):
    """kubectl failed; the text is what it said."""


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl against one cluster, in one namespace if that is given."""

    program: Path
    kubeconfig: Path
    namespace: str | None = None

    def within(self, namespace: str) -> Kubectl:
        """Return the same kubectl for another namespace."""
        return replace(self, namespace=namespace)

    def command(self, *arguments: str) -> list[str]:
        """Return the whole command line, for a caller that starts the process itself."""
        where = [f"--namespace={self.namespace}"] if self.namespace else []
        return [str(self.program), f"--kubeconfig={self.kubeconfig}", *where, *arguments]

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 90) -> str:
        """Run kubectl and return what it prints.

        Args:
            arguments: A verb and what belongs to it.
            stdin: What it reads, for `-f -`.
            timeout: Seconds after which it is killed.

        Raises:
            KubectlError: it did not end well, or not in time.
        """
        try:
            done = subprocess.run(
                self.command(*arguments),
                input=stdin,
                check=False,
                capture_output=True,
                text=True,
                timeout=timeout,
                env=self.environment(),
            )
        except subprocess.TimeoutExpired as error:
            raise KubectlError(f"kubectl {' '.join(arguments)}: not done in {timeout} s") from error
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def json(self, *arguments: str, timeout: float = 90) -> Any:
        """Run kubectl with `-o json` and return what it prints, parsed."""
        return json.loads(self(*arguments, "--output=json", timeout=timeout))

    def apply(self, *objects: dict[str, Any]) -> str:
        """Apply manifests given as dictionaries."""
        document = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        return self("apply", "--filename=-", stdin=json.dumps(document))

    def wait(self, what: str, condition: str, *, timeout: float = 60) -> None:
        """Wait until e.g. `pod/a` has e.g. `condition=Ready`, or `delete`, or a jsonpath."""
        self("wait", f"--for={condition}", what, f"--timeout={timeout}s", timeout=timeout + 5)

    def environment(self) -> dict[str, str]:
        """Return the process environment without whatever would lead to another cluster."""
        mine = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
        mine["KUBECACHEDIR"] = str(self.kubeconfig.absolute().parent / "cache")
        return mine
