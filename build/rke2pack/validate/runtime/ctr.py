"""Ctr: containerd through its own client program, in a namespace that is removed afterwards."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from rke2pack import process
from rke2pack.digest import Digest
from rke2pack.errors import ToolError
from rke2pack.validate.runtime.trial import line

PINNED: Final = "io.cri-containerd.pinned=pinned"
_SECONDS: Final = 3600.0
_ROW: Final = re.compile(r"(?P<name>\S+)\s+\S+\s+(?P<digest>sha256:[0-9a-f]{64})\s(?P<rest>.*)\Z")
_SAID: Final = re.compile(r"^ctr: (.+)", re.MULTILINE)
_VERSION: Final = re.compile(r"Server:\s+Version:\s+v?(?P<version>\S+)")
_HINT: Final = "start it, name its socket with --containerd-address, or choose --runtime docker"
_TRIES: Final = 50
_PAUSE: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class Image:
    """A line of containerd's list of images."""

    name: str
    digest: str
    labels: str


@dataclass(frozen=True, kw_only=True)
class Ctr:
    """Calls the client; ``namespace`` is empty until `in_namespace` gives one."""

    program: str
    address: str
    snapshotter: str = ""
    namespace: str = ""

    def version(self) -> str:
        """Return the daemon's version; raises ToolError where it cannot be reached."""
        if not Path(self.address).exists():
            msg = f"containerd: no socket {self.address}"
            raise ToolError(msg, hint=_HINT)
        program = process.find(self.program)
        done = process.run([program, *self._options[1:], "--connect-timeout", "10s", "version"])
        found = _VERSION.search(done.stdout.decode(errors="replace"))
        if done.returncode or found is None:
            msg = f"containerd: {self.address} does not answer: {_said(done.stderr)}"
            raise ToolError(msg, hint=_HINT)
        return found["version"]

    def in_namespace(self) -> Ctr:
        """Return the same in a namespace of its own, which `create` makes."""
        return replace(self, namespace=f"rke2pack-{secrets.token_hex(6)}")

    def create(self) -> None:
        """Make the namespace; raises ToolError."""
        self.run("namespaces", "create", self.namespace)

    @property
    def _options(self) -> tuple[str, ...]:
        space = ("--namespace", self.namespace) if self.namespace else ()
        return (self.program, "--address", self.address, *space)

    def run(self, *arguments: str) -> bytes:
        """Call the client and return what it writes; raises ToolError with its reason."""
        code, out, said = self.tried(*arguments)
        if code:
            msg = f"containerd: ctr {' '.join(arguments[:2])}: {said}"
            raise ToolError(msg)
        return out

    def tried(self, *arguments: str) -> tuple[int, bytes, str]:
        """Call the client; return its exit code, what it writes, and what is wrong."""
        done = process.run([*self._options, *arguments], timeout=_SECONDS)
        return done.returncode, done.stdout, _said(done.stderr)

    def load(self, chunks: Iterable[bytes], *arguments: str) -> str:
        """Import a tar with the given options; return why not, or nothing."""
        local = ("--local",) if self._has_transfer else ()
        command = (*self._options, "images", "import", *local, *arguments, "-")
        done = process.feed(command, chunks, timeout=_SECONDS)
        return (_said(done.stderr) or f"exit code {done.returncode}") if done.returncode else ""

    @cached_property
    def _has_transfer(self) -> bool:
        """Whether the client imports by another service unless told; RKE2 imports itself."""
        return b"--local" in process.run([*self._options, "images", "import", "--help"]).stdout

    def images(self) -> Mapping[str, Image]:
        """Return all images of the namespace by name."""
        rows = self.run("images", "ls").decode(errors="replace").splitlines()
        found = [match for row in rows if (match := _ROW.match(row))]
        return {
            m["name"]: Image(name=m["name"], digest=m["digest"], labels=m["rest"]) for m in found
        }

    def contents(self) -> frozenset[str]:
        """Return the digests of all blobs of the namespace."""
        return frozenset(self.run("content", "ls", "--quiet").decode().split())

    def blob(self, digest: str) -> bytes:
        """Return a blob's bytes; raises ToolError."""
        return self.run("content", "get", digest)

    def tag(self, name: str, others: Iterable[str]) -> None:
        """Pin an image and give it other names, which are pinned too, as a node does."""
        self.run("images", "label", name, PINNED)
        for other in others:
            self.run("images", "tag", name, other)
            self.run("images", "label", other, PINNED)  # the client of containerd 2 copies none

    def unpack(self, digest: str, diff_ids: Iterable[str]) -> str:
        """Unpack what a name points at and look for its snapshot; return why not, or nothing."""
        code, _, said = self.tried("snapshots", *self.snapshots, "unpack", digest)
        return (said or f"exit code {code}") if code else self.unpacked(diff_ids)

    def unpacked(self, diff_ids: Iterable[str]) -> str:
        """Look for the snapshot of a stack of layers; return why not, or nothing."""
        chain = chain_id(diff_ids)
        if not chain:
            return ""
        code, _, said = self.tried("snapshots", *self.snapshots, "info", chain)
        return f"no snapshot {chain}: {said}" if code else ""

    @property
    def snapshots(self) -> tuple[str, ...]:
        """The option that names the snapshotter."""
        return ("--snapshotter", self.snapshotter) if self.snapshotter else ()

    def clear(self) -> None:
        """Remove everything of the namespace, and it; raises ToolError where something stays."""
        said = ""
        for _ in range(_TRIES):
            self._empty()
            code, _, said = self.tried("namespaces", "rm", self.namespace)
            if not code or "not found" in said:
                return
            if "must be empty" not in said:
                break
            time.sleep(_PAUSE)
        msg = f"containerd: namespace {self.namespace} stays: {said}"
        hint = f"remove it with 'ctr --address {self.address} namespaces rm {self.namespace}'"
        raise ToolError(msg, hint=hint)

    def _empty(self) -> None:
        """Remove names and leases first: containerd then collects blobs and snapshots itself."""
        names = self._listed("images", "ls", "--quiet")
        if names:
            self.tried("images", "rm", "--sync", "--", *names)
        leases = self._listed("leases", "ls", "--quiet")
        if leases:
            self.tried("leases", "rm", "--sync", *leases)
        left = self._listed("content", "ls", "--quiet")
        if left and not names:
            self.tried("content", "rm", *left)

    def _listed(self, *arguments: str) -> list[str]:
        return self.tried(*arguments)[1].decode(errors="replace").split()


def chain_id(diff_ids: Iterable[str]) -> str:
    """Return the name of the snapshot of a stack of layers; empty where there are none.

    Source: OCI image-spec, config.md#layer-chainid.
    """
    chain = ""
    for diff_id in diff_ids:
        chain = str(Digest.of(f"{chain} {diff_id}".encode())) if chain else diff_id
    return chain


def _said(stderr: bytes) -> str:
    """Return the client's own last words, without its log."""
    text = stderr.decode(errors="replace")
    found: list[str] = _SAID.findall(text)
    return line(found[-1] if found else text)
