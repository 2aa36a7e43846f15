"""Node: the container that is a cluster's only node, its images, and its way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rke2pack import process
from rke2pack.errors import ToolError
from rke2pack.oci.intake.archivefile import ArchiveFile
from rke2pack.oci.platform import Platform
from rke2pack.validate.runtime.trial import check_room, line

_CTR: Final = ("ctr", "--namespace", "k8s.io")
_SECONDS: Final = 3600.0
# Addresses for documentation (RFC 5737, RFC 3849): anything but the node's own network.
_OUTSIDE: Final = {"-4": "203.0.113.1", "-6": "2001:db8::1"}
_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node's container; ``docker`` is the client program, which kind calls too."""

    docker: Path
    container: str

    @classmethod
    def find(cls, container: str) -> Node:
        """Return the node of a container; raises ToolError where there is no docker program."""
        return cls(docker=process.find("docker"), container=container)

    def platform(self) -> Platform:
        """Return the platform whose programs run in it; raises ToolError."""
        machine = self.run("uname", "--machine").strip()
        return Platform(os="linux", architecture=_MACHINES.get(machine, machine))

    def run(self, *command: str) -> str:
        """Run a program in it and return what it writes; raises ToolError."""
        code, out, said = self.tried(*command)
        if code:
            msg = f"{self.container}: {' '.join(command)[:100]}: {said or f'exit code {code}'}"
            raise ToolError(msg)
        return out

    def tried(self, *command: str) -> tuple[int, str, str]:
        """Run a program in it; return its exit code, what it writes, and what is wrong."""
        done = process.run([self.docker, "exec", self.container, *command], timeout=_SECONDS)
        texts = [each.decode(errors="replace") for each in (done.stdout, done.stderr)]
        return done.returncode, texts[0], line(texts[1])

    def load(self, archive: ArchiveFile, platform: Platform) -> str:
        """Import an archive's images for a platform; return why not, or nothing.

        Raises ToolError where the disk is full.
        """
        wanted = ("images", "import", "--platform", str(platform), "-")
        inside = ("exec", "--interactive", self.container, *_CTR, *wanted)
        done = process.feed((self.docker, *inside), archive.tar(), timeout=_SECONDS)
        said = line(done.stderr.decode(errors="replace"))
        check_room(said, title=self.container, archive=archive.path.name)
        return (said or f"exit code {done.returncode}") if done.returncode else ""

    def images(self) -> frozenset[str]:
        """Return the names of all images that its pods can have, not their ids."""
        listed = self.run(*_CTR, "images", "ls", "--quiet").split()
        return frozenset(each for each in listed if not each.startswith("sha256:"))

    def cut_off(self) -> None:
        """Take its ways out of its own network away, and make sure; raises ToolError."""
        for family in _OUTSIDE:
            self.tried("ip", family, "route", "flush", "default")
            self.tried("ip", family, "route", "add", "unreachable", "default")
        left = tuple(self._ways_out())
        if left:
            msg = f"{self.container}: still reaches {', '.join(left)}: pulls could succeed"
            raise ToolError(msg, hint="name a node image that has the program ip (iproute2)")

    def _ways_out(self) -> Iterable[str]:
        self.run("ip", "-Version")
        for family, address in _OUTSIDE.items():
            if self.tried("ip", family, "route", "get", address)[0] == 0:
                yield address
