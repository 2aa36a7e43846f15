"""The program kind: clusters whose nodes are containers of a docker engine."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rke2pack import process
from rke2pack.errors import ToolError
from rke2pack.process import Programs
from rke2pack.validate.runtime.trial import line

IMAGE: Final = "kindest/node"
_WAIT: Final = "240s"
_SECONDS: Final = 900.0
_REMOVALS: Final = 3
_HINTS: Final = (
    ("no space left on device", "free space where docker keeps its images and volumes"),
    ("failed to pull image", "load it into docker, or name another one with --node-image"),
    ("unable to apply caps", "let docker use a runtime that does without this capability"),
    ("no such image", "load it into docker, or name another one with --node-image"),
    ("cannot connect to the docker daemon", "start docker, or name it with DOCKER_HOST"),
)
_HINT: Final = "look at its logs in the output folder, or try 'kind create cluster' by hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The program, found and asked for its version.

    ``programs`` is what makes a cluster and works with it; ending them ends the work.
    """

    path: Path
    version: str
    programs: Programs = field(default_factory=Programs)

    @classmethod
    def find(cls, program: str) -> Kind:
        """Look the program up; raises ToolError."""
        try:
            path = process.find(program)
        except ToolError as exc:
            hint = "install it (go install sigs.k8s.io/kind@latest), or name it with --kind"
            raise ToolError(exc.message, hint=hint) from exc
        done = process.run([path, "version", "--quiet"])
        if done.returncode:
            msg = f"{path}: does not tell its version: {line(done.stderr.decode())}"
            raise ToolError(msg, hint="name a kind program with --kind")
        return cls(path=path, version=done.stdout.decode().strip())

    def clusters(self) -> frozenset[str]:
        """Return the names of all clusters of this engine; raises ToolError."""
        done = process.run([self.path, "get", "clusters", "--quiet"], among=Programs())
        if done.returncode:
            msg = f"kind get clusters: {line(done.stderr.decode(errors='replace'))}"
            raise ToolError(msg, hint="start docker, or name it with DOCKER_HOST")
        return frozenset(done.stdout.decode().split())

    @contextlib.contextmanager
    def cluster(self, row: str, image: str, folder: Path, *, keep: bool) -> Iterator[KindCluster]:
        """Give a cluster of one node, removed at the end of the block unless ``keep``.

        Its name is no other's. What its node logged is in ``folder``/logs where the block or
        its creation fails, unless its programs were ended: then only the removal counts.
        Raises ToolError.
        """
        name = f"rke2pack-{row.replace('.', '-')}-{secrets.token_hex(3)}"
        cluster = KindCluster(kind=self, name=name, kubeconfig=folder / "kubeconfig")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            try:
                cluster.create(image)
                yield cluster
            except BaseException:
                if not self.programs.is_ended:
                    cluster.export_logs(folder / "logs")
                raise
        finally:
            if not keep:
                cluster.delete()


@dataclass(frozen=True, slots=True, kw_only=True)
class KindCluster:
    """One cluster; its only node is the container ``node``."""

    kind: Kind
    name: str
    kubeconfig: Path

    @property
    def node(self) -> str:
        """The name of the node's container."""
        return f"{self.name}-control-plane"

    def create(self, image: str) -> None:
        """Create it and wait for the node; raises ToolError with kind's reason."""
        configuration = {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "nodes": [{"role": "control-plane"}],
        }
        done = process.run(
            [
                *(self.kind.path, "create", "cluster", "--name", self.name, "--image", image),
                *("--kubeconfig", self.kubeconfig, "--wait", _WAIT, "--retain", "--config", "-"),
            ],
            stdin=json.dumps(configuration).encode(),
            timeout=_SECONDS,
            among=self.kind.programs,
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace")
            raise _failure(f"{self.name}: no cluster from {image}", said)

    def export_logs(self, folder: Path) -> None:
        """Write the logs of the node; what there is none of is not written."""
        with contextlib.suppress(ToolError):
            command = ("export", "logs", folder, "--name", self.name)
            process.run((self.kind.path, *command), timeout=_SECONDS, among=self.kind.programs)

    def delete(self) -> None:
        """Remove it with all that belongs to it; raises ToolError where something stays.

        An engine may just be making a container for somebody who was ended: it is asked again.
        """
        command = ("delete", "cluster", "--name", self.name, "--kubeconfig", self.kubeconfig)
        for _ in range(_REMOVALS):
            done = process.run((self.kind.path, *command), timeout=_SECONDS, among=Programs())
            said = line(done.stderr.decode(errors="replace"))
            if not done.returncode and self.name not in self.kind.clusters():
                return
        msg = f"{self.name}: not removed: {said or 'it is still there'}"
        raise ToolError(msg, hint=f"remove it with 'kind delete cluster --name {self.name}'")


def _failure(what: str, said: str) -> ToolError:
    """Return the error, with the next step, for what kind says."""
    errors = [each for each in said.splitlines() if each.startswith("ERROR:")]
    hint = next((hint for words, hint in _HINTS if words in said.lower()), _HINT)
    return ToolError(f"{what}: {line(errors[-1] if errors else said[-400:])}", hint=hint)
