"""The images of a cluster's own pods under the names that kubeadm expects, and the node's own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.kind.node import imagefile
from tests.kind.node.imagefile import Image
from tests.kind.node.places import BIN, IMAGES, KUBERNETES, MADE, NAME, NODE, ROOTFS, made, once

_REGISTRY: Final = "registry.k8s.io"
REFERENCES: Final = {
    "pause": f"{_REGISTRY}/pause:3.10",
    "etcd": f"{_REGISTRY}/etcd:3.5.16-0",
    "coredns": f"{_REGISTRY}/coredns/coredns:v1.11.3",
    **{
        name: f"{_REGISTRY}/{name}:{KUBERNETES}"
        for name in (
            *("kube-apiserver", "kube-controller-manager", "kube-scheduler"),
            "kube-proxy",
        )
    },
}
_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_STARTS: Final = {"pause": "/usr/local/bin/pause", "coredns": "/usr/local/bin/coredns"}
# What kube-proxy calls; the names lead to these through the distribution's alternatives.
_TOOLS: Final = {
    **{f"usr/sbin/{name}": "usr/sbin/xtables-nft-multi" for name in (
        *("iptables", "iptables-save", "iptables-restore"),
        *("ip6tables", "ip6tables-save", "ip6tables-restore"),
    )},
    "usr/sbin/conntrack": "usr/sbin/conntrack",
    "usr/sbin/nft": "usr/sbin/nft",
}  # fmt: skip
# Exists on systemd's side of the entrypoint; it stops on this signal.
_NODE: Final = {
    "Env": ["container=docker", _PATH],
    "Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"],
    "StopSignal": "SIGRTMIN+3",
}


def cluster() -> None:
    """Write the archive that a node imports at its start."""
    sources = [Path(module).read_bytes() for module in (__file__, imagefile.__file__)]
    once("images", [made("programs"), made("debian"), *sources], _cluster)


def node() -> None:
    """Write the node image for ``docker load``."""
    once("node", [made("rootfs"), Path(__file__).read_bytes()], _node)


def _cluster() -> None:
    with tempfile.TemporaryDirectory(dir=MADE) as name:
        imagefile.write(IMAGES, _images(Path(name)))


def _images(folder: Path) -> Iterator[Image]:
    for name, reference in REFERENCES.items():
        files = {f"usr/local/bin/{name}": BIN / name}
        if name == "kube-proxy":
            files |= _tools()
        config: dict[str, object] = {"Env": [_PATH]}
        if name in _STARTS:
            config["Entrypoint"] = [_STARTS[name]]
        layer = imagefile.layer(folder / f"{name}.tar", files)
        yield Image(name=reference, layer=layer, config=config)


def _tools() -> dict[str, Path]:
    """Return the files of iptables, nft and conntrack with the libraries that they load."""
    found = {name: ROOTFS / path for name, path in _TOOLS.items()}
    plugins = [f"/{path.relative_to(ROOTFS)}" for path in ROOTFS.glob("usr/lib/*/xtables/*.so")]
    programs = [f"/{path}" for path in dict.fromkeys(_TOOLS.values())]
    command = ["chroot", str(ROOTFS), "ldd", *programs, *plugins]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    libraries = {part for part in told.split() if part.startswith("/") and ":" not in part}
    for path in (*plugins, *libraries):
        found[path.lstrip("/")] = ROOTFS / _within(path)
    return found


def _within(path: str) -> str:
    """Return where a path of the node leads, links followed inside it."""
    command = ["chroot", str(ROOTFS), "readlink", "--canonicalize-existing", path]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return told.strip().lstrip("/")


def _node() -> None:
    layer = MADE / "rootfs.tar"
    exclude = [f"--exclude=./{name}/*" for name in ("dev", "proc", "sys", "tmp", "run")]
    command = ["tar", "--create", "--file", str(layer), "--directory", str(ROOTFS),
               "--numeric-owner", "--sort=name", "--xattrs", *exclude, "."]  # fmt: skip
    subprocess.run(command, check=True)
    imagefile.write(NODE, [Image(name=NAME, layer=layer, config=_NODE)])
    layer.unlink()


def needed() -> tuple[str, ...]:
    """Return the programs that making all this takes and this machine lacks."""
    return tuple(name for name in ("go", "debootstrap", "chroot", "tar") if not shutil.which(name))
