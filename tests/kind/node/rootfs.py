"""The file system of a node: Debian, kind's own files, and the programs of Kubernetes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.kind.node import programs
from tests.kind.node.places import BIN, IMAGES, KUBERNETES, ROOTFS, made, once

SUITE: Final = "bookworm"
MIRROR: Final = "http://deb.debian.org/debian"
PACKAGES: Final = (
    *("bash", "ca-certificates", "conntrack", "containerd", "containernetworking-plugins"),
    *("curl", "dbus", "e2fsprogs", "ethtool", "iproute2", "iptables", "jq", "kmod", "mount"),
    *("nftables", "pigz", "procps", "runc", "socat", "systemd", "systemd-sysv", "util-linux"),
)
UNITS: Final = ("kubelet.service", "containerd.service", "undo-mount-hacks.service")
IMPORT: Final = """\
[Unit]
Description=Import the images that this node was made with
After=containerd.service
Requires=containerd.service
Before=kubelet.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/ctr --namespace k8s.io images import /kind/images/images.tar

[Install]
WantedBy=multi-user.target
"""
AFTER_IMPORT: Final = "[Unit]\nAfter=node-images.service\nRequires=node-images.service\n"
# One node routes between its pods by itself; kindnet is for several.
NETWORK: Final = {
    "cniVersion": "0.3.1",
    "name": "node",
    "plugins": [
        {
            "type": "ptp",
            "ipMasq": True,
            "ipam": {
                "type": "host-local",
                "dataDir": "/run/cni-ipam-state",
                "routes": [{"dst": "0.0.0.0/0"}],
                "ranges": [[{"subnet": "10.244.0.0/24"}]],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}
# kind creates what stands in these files.
MANIFESTS: Final = {
    "default-cni.yaml": {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "node-network", "namespace": "kube-system"},
        "data": {"network": json.dumps(NETWORK)},
    },
    "default-storage.yaml": {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "standard",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    },
}


def debian() -> None:
    """Make the Debian part; needs root and debootstrap."""
    once("debian", [SUITE, *PACKAGES], _bootstrap)


def complete() -> None:
    """Put everything else into it."""
    parts = [made(name) for name in ("debian", "programs", "kind", "images")]
    once("rootfs", [*parts, Path(__file__).read_bytes()], _complete)


def _bootstrap() -> None:
    shutil.rmtree(ROOTFS, ignore_errors=True)
    wanted = f"--include={','.join(PACKAGES)}"
    _run("debootstrap", "--variant=minbase", wanted, SUITE, str(ROOTFS), MIRROR)
    for name in ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt",
                 "var/lib/apt/lists", "var/log/apt"):  # fmt: skip
        shutil.rmtree(ROOTFS / name, ignore_errors=True)
    for folder in ("etc/systemd/system", "lib/systemd/system"):
        for found in (ROOTFS / folder).glob("*.wants/*"):
            if folder.startswith("etc") or _is_unwanted(found):
                found.unlink()


def _is_unwanted(wanted: Path) -> bool:
    """Say of a unit that systemd starts by itself whether it is for a machine alone."""
    if wanted.parent.name in {"multi-user.target.wants", "local-fs.target.wants"}:
        return True
    if wanted.parent.name == "sockets.target.wants":
        return "udev" in wanted.name or "initctl" in wanted.name
    return wanted.name == "systemd-tmpfiles-setup.service"


def _complete() -> None:
    shutil.copytree(programs.kind_files(), ROOTFS, dirs_exist_ok=True, symlinks=True)
    _open(programs.kind_files())
    _programs()
    _containerd()
    _write("etc/cni/net.d/10-node.conflist", json.dumps(NETWORK, indent=1))
    _write("etc/systemd/system/node-images.service", IMPORT)
    _write("etc/systemd/system/kubelet.service.d/12-images.conf", AFTER_IMPORT)
    _write("etc/systemd/journald.conf.d/node.conf", "[Journal]\nReadKMsg=no\n")
    for name, manifest in MANIFESTS.items():
        _write(f"kind/manifests/{name}", json.dumps(manifest))
    _write("kind/version", KUBERNETES)
    (ROOTFS / "etc/kubernetes/manifests").mkdir(parents=True, exist_ok=True)
    (ROOTFS / "kind/images").mkdir(exist_ok=True)
    shutil.copyfile(IMAGES, ROOTFS / "kind/images/images.tar")
    _chroot("systemctl", "enable", *UNITS, "node-images.service")
    _chroot("systemctl", "mask", "systemd-binfmt.service")


def _open(source: Path) -> None:
    """Give what was copied the modes of a system: the module cache is read-only."""
    for path in (source, *source.rglob("*")):
        found = ROOTFS / path.relative_to(source)
        is_program = path.parent.name == "bin" or path.is_dir()
        found.chmod(0o755 if is_program else 0o644)


def _programs() -> None:
    for name in ("kubeadm", "kubelet", "kubectl"):
        shutil.copy(BIN / name, ROOTFS / "usr/bin" / name)
    shutil.copy(BIN / "runtime", ROOTFS / "usr/local/sbin/runc")
    links = {"usr/local/bin/containerd": "/usr/bin/containerd", "usr/local/bin/ctr": "/usr/bin/ctr"}
    for name, target in {**links, "opt/cni/bin": "/usr/lib/cni"}.items():
        path = ROOTFS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)


def _containerd() -> None:
    path = ROOTFS / "etc/containerd/config.toml"
    text = path.read_text(encoding="utf-8")
    # Hosts that keep CAP_SYS_RESOURCE to themselves allow no score below their own.
    text = text.replace("restrict_oom_score_adj = false", "restrict_oom_score_adj = true")
    path.write_text(text, encoding="utf-8")
    spec = json.loads(_chroot("ctr", "oci", "spec"))
    hooks = spec.setdefault("hooks", {}).setdefault("createContainer", [])
    hooks.append({"path": "/kind/bin/mount-product-files.sh"})
    spec["process"].pop("rlimits", None)
    _write("etc/containerd/cri-base.json", json.dumps(spec))


def _write(name: str, text: str) -> None:
    path = ROOTFS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _chroot(*command: str) -> str:
    return _run("chroot", str(ROOTFS), *command)


def _run(*command: str) -> str:
    # Debian's own: the caller's language and folders do not exist in there.
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C",
        "DEBIAN_FRONTEND": "noninteractive",
    }
    return subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
