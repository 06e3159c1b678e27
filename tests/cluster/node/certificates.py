"""A certificate authority for one node's life, and the certificates that its parts need."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .settings import KUBERNETES_SERVICE_IP, NODE, NODE_IP, NodeError

if TYPE_CHECKING:
    from pathlib import Path

_DAYS = "3650"
_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclass(frozen=True)
class Certificate:
    """A certificate to be: Kubernetes reads the user from its name, the group from `group`."""

    file: str
    name: str
    group: str = ""
    addresses: str = "DNS:localhost"


CERTIFICATES = (
    Certificate(
        "apiserver",
        "kube-apiserver",
        addresses="DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,"
        f"IP:127.0.0.1,IP:{NODE_IP},IP:{KUBERNETES_SERVICE_IP}",
    ),
    Certificate("admin", "kubernetes-admin", "system:masters"),
    Certificate("controller-manager", "system:kube-controller-manager"),
    Certificate("scheduler", "system:kube-scheduler"),
    Certificate(
        "kubelet", f"system:node:{NODE}", "system:nodes", addresses=f"DNS:{NODE},IP:{NODE_IP}"
    ),
    Certificate("proxy", "system:kube-proxy"),
    Certificate("dns", "system:coredns"),
    Certificate("apiserver-to-kubelet", "kube-apiserver-kubelet", "system:masters"),
)


def issue(pki: Path) -> None:
    """Write the authority, all CERTIFICATES and the key for service accounts' tokens to `pki`."""
    pki.mkdir(mode=0o700)
    _openssl(
        pki, "req", "-x509", *_KEY, "-days", _DAYS, "-subj", f"/CN={NODE}-ca",
        "-keyout", "ca.key", "-out", "ca.crt",
    )  # fmt: skip
    _openssl(
        pki, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-out", "service-accounts.key",
    )  # fmt: skip
    _openssl(pki, "pkey", "-in", "service-accounts.key", "-pubout", "-out", "service-accounts.pub")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda certificate: _sign(pki, certificate), CERTIFICATES))


def _sign(pki: Path, certificate: Certificate) -> None:
    subject = f"/O={certificate.group}" if certificate.group else ""
    extensions = pki / f"{certificate.file}.extensions"
    extensions.write_text(
        f"subjectAltName={certificate.addresses}\nextendedKeyUsage=serverAuth,clientAuth\n"
    )
    file = certificate.file
    _openssl(
        pki, "req", *_KEY, "-subj", f"{subject}/CN={certificate.name}",
        "-keyout", f"{file}.key", "-out", f"{file}.csr",
    )  # fmt: skip
    _openssl(
        pki, "x509", "-req", "-in", f"{file}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
        "-days", _DAYS, "-extfile", extensions.name, "-out", f"{file}.crt",
    )  # fmt: skip


def _openssl(pki: Path, *arguments: str) -> None:
    done = subprocess.run(
        ["openssl", *arguments], cwd=pki, check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise NodeError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
