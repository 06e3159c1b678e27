"""The command line and the configuration of each of the node's processes: pure builders.

Configuration is JSON, which YAML readers read too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .settings import (
    API_PORT,
    CLUSTER_DOMAIN,
    CNI_PLUGINS,
    ETCD_PEER_PORT,
    ETCD_PORT,
    NODE,
    NODE_IP,
    PAUSE_IMAGE,
    POD_CIDR,
    SERVICE_CIDR,
)

if TYPE_CHECKING:
    from .binaries import Binaries
    from .settings import Layout

API_SERVER = f"https://{NODE_IP}:{API_PORT}"
_ETCD = f"http://127.0.0.1:{ETCD_PORT}"


def etcd(layout: Layout, binaries: Binaries) -> list[str]:
    """Return etcd's command; it does not fsync, as nobody needs this state after a power cut."""
    return [
        str(binaries.node / "etcd"),
        f"--data-dir={layout.run / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        f"--listen-peer-urls=http://127.0.0.1:{ETCD_PEER_PORT}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{ETCD_PEER_PORT}",
        f"--initial-cluster=default=http://127.0.0.1:{ETCD_PEER_PORT}",
        "--log-level=warn",
    ]


def api_server(layout: Layout, binaries: Binaries) -> list[str]:
    """Return the API server's command: only this machine and its pods can reach it."""
    pki = layout.pki
    return [
        str(binaries.node / "kube-apiserver"),
        f"--etcd-servers={_ETCD}",
        f"--bind-address={NODE_IP}",
        f"--advertise-address={NODE_IP}",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--kubelet-client-certificate={pki / 'apiserver-to-kubelet.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-to-kubelet.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={pki / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
        f"--service-account-issuer=https://kubernetes.default.svc.{CLUSTER_DOMAIN}",
        f"--audit-policy-file={layout.run / 'audit-policy.json'}",
        f"--audit-log-path={layout.audit_log}",
    ]


def controller_manager(layout: Layout, binaries: Binaries) -> list[str]:
    """Return the controller manager's command."""
    return [
        str(binaries.node / "kube-controller-manager"),
        f"--kubeconfig={layout.run / 'controller-manager.conf'}",
        f"--root-ca-file={layout.pki / 'ca.crt'}",
        f"--service-account-private-key-file={layout.pki / 'service-accounts.key'}",
        f"--cluster-signing-cert-file={layout.pki / 'ca.crt'}",
        f"--cluster-signing-key-file={layout.pki / 'ca.key'}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--controllers=*,-node-ipam-controller",
    ]


def scheduler(layout: Layout, binaries: Binaries) -> list[str]:
    """Return the scheduler's command."""
    return [
        str(binaries.node / "kube-scheduler"),
        f"--kubeconfig={layout.run / 'scheduler.conf'}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
    ]


def kubelet(layout: Layout, binaries: Binaries) -> list[str]:
    """Return the kubelet's command."""
    return [
        str(binaries.node / "kubelet"),
        f"--config={layout.run / 'kubelet.json'}",
        f"--kubeconfig={layout.run / 'kubelet.conf'}",
        f"--hostname-override={NODE}",
        f"--node-ip={NODE_IP}",
        f"--root-dir={layout.run / 'kubelet'}",
        f"--cert-dir={layout.pki}",
    ]


def proxy(layout: Layout, binaries: Binaries) -> list[str]:
    """Return kube-proxy's command: Services by iptables, the kernel's limits left alone."""
    return [
        str(binaries.node / "kube-proxy"),
        f"--kubeconfig={layout.run / 'proxy.conf'}",
        f"--hostname-override={NODE}",
        f"--cluster-cidr={POD_CIDR}",
        "--proxy-mode=iptables",
        "--iptables-min-sync-period=0s",
        "--iptables-localhost-nodeports=false",
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
        "--healthz-bind-address=127.0.0.1:10256",
    ]


def containerd(layout: Layout, binaries: Binaries) -> list[str]:
    """Return containerd's command."""
    return [
        str(binaries.node / "containerd"),
        f"--config={layout.run / 'containerd.toml'}",
        "--log-level=warn",
    ]


def coredns(layout: Layout, binaries: Binaries) -> list[str]:
    """Return CoreDNS's command: it runs beside the pods, on the node's address."""
    return [str(binaries.node / "coredns"), f"-conf={layout.run / 'Corefile'}"]


def corefile(layout: Layout) -> str:
    """Return CoreDNS's configuration: the cluster's names, and no other name exists.

    Without a way out, a foreign name would be a server failure on one machine and unknown on
    another; here it is unknown everywhere.
    """
    return f"""{CLUSTER_DOMAIN}:53 in-addr.arpa:53 ip6.arpa:53 {{
    bind {NODE_IP}
    errors
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {layout.run / "dns.conf"}
        ttl 1
    }}
}}
.:53 {{
    bind {NODE_IP}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def containerd_toml(layout: Layout) -> str:
    """Return containerd's configuration, in which all paths are the node's own."""
    runtime = "plugins.'io.containerd.cri.v1.runtime'"
    return f"""version = 3
root = "{layout.run / "containerd"}"
state = "{layout.sockets / "state"}"

[grpc]
  address = "{layout.containerd_socket}"

[plugins.'io.containerd.shim.v1.manager']
  socket_dir = "{layout.sockets / "shims"}"

[plugins.'io.containerd.nri.v1.nri']
  disable = true

[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{PAUSE_IMAGE}"

[{runtime}]
  # Inside a container without CAP_SYS_RESOURCE no process's score may be lowered: each sandbox
  # would die with "can't get final child's PID from pipe".
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true

[{runtime}.cni]
  bin_dirs = ["{CNI_PLUGINS}"]
  conf_dir = "{layout.run / "cni"}"

[{runtime}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[{runtime}.containerd.runtimes.runc.options]
  Root = "{layout.sockets / "runc"}"
  SystemdCgroup = false
"""


def kubelet_configuration(layout: Layout) -> dict[str, Any]:
    """Return the kubelet's configuration."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(layout.pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(layout.pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [NODE_IP],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(layout.run / "resolv.conf"),
        "podLogsDir": str(layout.run / "pods"),
        "maxPods": 250,
        # A mounted ConfigMap or Secret is looked at again at this interval, 1 min by default.
        "syncFrequency": "5s",
        "configMapAndSecretChangeDetectionStrategy": "Watch",
        # Images come from nowhere else again, and a full disk of the developer's is his own matter.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
        "volumePluginDir": str(layout.run / "volume-plugins"),
    }


def audit_policy() -> dict[str, Any]:
    """Return what the API server writes down: each write once, by whom, without its content."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "verbs": ["get", "list", "watch"]},
            {"level": "Metadata"},
        ],
    }


def kubeconfig(layout: Layout, certificate: str) -> str:
    """Return credentials for one of the node's parts."""
    pki = layout.pki
    user = {
        "client-certificate": str(pki / f"{certificate}.crt"),
        "client-key": str(pki / f"{certificate}.key"),
    }
    cluster = {"server": API_SERVER, "certificate-authority": str(pki / "ca.crt")}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": NODE, "cluster": cluster}],
            "users": [{"name": certificate, "user": user}],
            "contexts": [{"name": NODE, "context": {"cluster": NODE, "user": certificate}}],
            "current-context": NODE,
        }
    )


def permissions() -> dict[str, Any]:
    """Return the roles that kube-proxy and CoreDNS need, as one list for `kubectl apply`."""
    rbac = "rbac.authorization.k8s.io"

    def binding(name: str, role: str, user: str) -> dict[str, Any]:
        return {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": user}],
        }

    reading = ["get", "list", "watch"]
    role = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "coredns"},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "namespaces", "pods"], "verbs": reading},
            {
                "apiGroups": ["discovery.k8s.io"],
                "resources": ["endpointslices"],
                "verbs": reading,
            },
        ],
    }
    items = [
        role,
        binding("coredns", "coredns", "system:coredns"),
        binding("kube-proxy", "system:node-proxier", "system:kube-proxy"),
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}
