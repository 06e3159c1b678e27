"""`python -m tests.cluster up | down | prepare`: the tests' cluster, apart from the tests.

`up` leaves it running between test runs: it is the very cluster that pytest finds afterwards, by
the same name, program and kubeconfig. `prepare` only does what takes long the first time, in the
open: it builds the node's programs and the images, which pytest would do in silence.
"""

from __future__ import annotations

import subprocess
import sys

from tests.cluster import target
from tests.cluster.images import build


def main(arguments: list[str]) -> int:
    """Bring the cluster up or take it down; return the exit status."""
    if arguments not in (["up"], ["down"], ["prepare"]):
        print("usage: python -m tests.cluster up | down | prepare", file=sys.stderr)  # noqa: T201
        return 2
    cluster, found = target.kind_cluster(), target.programs()
    try:
        if arguments == ["prepare"]:
            if found.own_node:
                subprocess.run([str(found.kind), "prepare"], check=True)
            return build.main([])
        if arguments == ["down"]:
            if found.own_node or target.is_running(found):
                cluster.delete()  # type: ignore[no-untyped-call]
            return 0
        if target.is_running(found):
            target.renew_credentials(found)
        cluster.create()
    except subprocess.CalledProcessError as error:
        return error.returncode  # its own sentence has been printed
    cluster.ensure_kubectl()  # type: ignore[no-untyped-call]
    print(f"export KUBECONFIG={found.kubeconfig}\nkubectl: {found.kubectl}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
