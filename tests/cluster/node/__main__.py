"""The command line: kind's own verbs, so that what drives kind drives this node.

kind get clusters
kind create cluster --name NAME --kubeconfig FILE
kind load docker-image --name NAME IMAGE…
kind export kubeconfig --name NAME --kubeconfig FILE
kind delete cluster --name NAME --kubeconfig FILE

and three of our own: `prepare` (install and build what `create` needs), `path PROGRAM` (where
kubectl or helm is), `doctor` (what is there and what is missing).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from . import binaries, cluster, images, kubeconfig, prerequisites, processes
from .report import say, step
from .settings import Layout, NodeError

_DEFAULT_NAME = "kind"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit status."""
    parsed = _parser().parse_args(arguments)
    layout = Layout.of_user()
    try:
        answer = parsed.run(layout, parsed)
    except NodeError as error:
        say(f"ERROR: {error}")
        return 1
    if answer:
        print(answer)  # noqa: T201 - the answer itself
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kind", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(words: str, run: object) -> argparse.ArgumentParser:
        first, _, second = words.partition(" ")
        if not second:
            leaf = verbs.add_parser(first)
        else:
            if first not in verbs.choices:
                nouns = verbs.add_parser(first).add_subparsers(required=True, metavar="NOUN")
                groups[first] = nouns
            leaf = groups[first].add_parser(second)
        leaf.set_defaults(run=run)
        return leaf

    groups: dict[str, argparse._SubParsersAction[argparse.ArgumentParser]] = {}
    verb("get clusters", _get_clusters)
    name = os.environ.get("KIND_CLUSTER_NAME", _DEFAULT_NAME)
    for words, run in (
        ("create cluster", _create),
        ("delete cluster", _delete),
        ("export kubeconfig", _export),
    ):
        leaf = verb(words, run)
        leaf.add_argument("--name", default=name)
        leaf.add_argument("--kubeconfig", type=Path)
    load = verb("load docker-image", _load)
    load.add_argument("--name", default=name)
    load.add_argument("images", nargs="+", metavar="IMAGE")
    verb("prepare", _prepare)
    verb("doctor", _doctor)
    verb("path", _path).add_argument("program", choices=["kubectl", "helm", "logs"])
    return parser


def _get_clusters(layout: Layout, _: argparse.Namespace) -> str:
    name = cluster.running(layout)
    if name is None:
        say("No kind clusters found.")
    return name or ""


def _create(layout: Layout, parsed: argparse.Namespace) -> None:
    with step(f'Cluster "{parsed.name}" is ready'):
        cluster.create(layout, parsed.name)
        kubeconfig.export(layout, parsed.name, parsed.kubeconfig)


def _delete(layout: Layout, parsed: argparse.Namespace) -> None:
    there = cluster.running(layout)
    if there is not None and there != parsed.name:
        raise NodeError(f'There is no cluster "{parsed.name}" here, but one named "{there}".')
    with step(f'Deleted cluster "{parsed.name}"'):
        cluster.delete(layout)
        kubeconfig.forget(layout, parsed.name, parsed.kubeconfig)


def _export(layout: Layout, parsed: argparse.Namespace) -> None:
    _require_running(layout, parsed.name)
    kubeconfig.export(layout, parsed.name, parsed.kubeconfig)


def _load(layout: Layout, parsed: argparse.Namespace) -> None:
    _require_running(layout, parsed.name)
    for image in parsed.images:
        with step(f"Image {image} is in the node"):
            images.load(layout, binaries.locate(layout), image)


def _prepare(layout: Layout, _: argparse.Namespace) -> None:
    prerequisites.require_machine()
    prerequisites.require_packages()
    binaries.build(layout)


def _path(layout: Layout, parsed: argparse.Namespace) -> str:
    if parsed.program == "logs":
        return str(layout.logs)
    return str(binaries.locate(layout).client / parsed.program)


def _doctor(layout: Layout, _: argparse.Namespace) -> str:
    prerequisites.require_machine()
    missing = prerequisites.missing_packages()
    alive = sorted({process.program for process in processes.find(layout)})
    built = binaries.locate(layout)
    running = cluster.running(layout)
    lines = [
        f"Debian packages missing: {' '.join(missing) or 'none'}",
        f"Programs ({binaries.kubernetes_version()}): "
        + (str(built.folder) if built.complete() else "not built yet"),
        f"Cluster: {running or 'none'}",
        f"Processes: {' '.join(alive) or 'none'}",
    ]
    if running is None:
        lines += [f"Left behind: {trace}" for trace in cluster.traces(layout)]
    return "\n".join(lines)


def _require_running(layout: Layout, name: str) -> None:
    if cluster.running(layout) != name:
        raise NodeError(f'There is no running cluster "{name}" on this machine.')


if __name__ == "__main__":
    sys.exit(main())
