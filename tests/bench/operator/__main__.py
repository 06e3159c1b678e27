"""Measures, prints, and writes the page."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.bench.operator.bench import NAMESPACE, Bench, Watcher
from tests.bench.operator.page import measure
from tests.cluster import target
from tests.cluster.conftest import create_namespace
from tests.cluster.images import build
from tests.cluster.kubectl import Kubectl
from tests.cluster.operator import NAMESPACE as OPERATOR_NAMESPACE
from tests.cluster.operator import Operator
from tests.cluster.postgres import Servers

PAGE = Path(__file__).resolve().parents[3] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- operator: begin -->", "<!-- operator: end -->"


def main() -> int:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="rounds of the small measurements")
    parser.add_argument("--idle", type=float, default=600, help="seconds of idleness")
    parser.add_argument("--resources", type=int, default=100, help="settled resources")
    parser.add_argument("--dry-run", action="store_true", help="print only")
    options = parser.parse_args()

    kind = target.kind_cluster()
    kind.create()
    kubectl = Kubectl(Path(kind.kubectl_path), Path(kind.kubeconfig_path))
    cluster = target.Cluster(kubectl, kind, own_node=True)
    image, postgres = build.project_image(), build.postgres_image()
    cluster.load(image)
    cluster.load(postgres)
    operator = Operator(kubectl.within(OPERATOR_NAMESPACE), image)
    operator.install(log__level="info")
    operator.restart()
    create_namespace(kubectl, NAMESPACE)
    mine = kubectl.within(NAMESPACE)
    with ExitStack() as stack:
        servers = stack.enter_context(Servers(cluster, NAMESPACE, postgres))
        stack.callback(kubectl, "delete", "namespace", NAMESPACE, "--wait=false")
        server = servers.start(settings=("fsync=on", "full_page_writes=on", "max_connections=500"))
        watcher = Watcher(mine)
        watcher.start()
        text = measure(Bench(mine, server, watcher, operator), options)
    print(text)
    if not options.dry_run:
        page = PAGE.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
