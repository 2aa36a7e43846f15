"""Node: the container that is a cluster's only node, its images, and its way out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rke2pack import process
from rke2pack.errors import ToolError
from rke2pack.oci.intake.archivefile import ArchiveFile
from rke2pack.oci.platform import Platform
from rke2pack.process import Programs
from rke2pack.validate.runtime.trial import check_room, line

_CTR: Final = ("ctr", "--namespace", "k8s.io")
_SECONDS: Final = 3600.0
# Addresses for documentation (RFC 5737, RFC 3849): anything but the node's own network.
_OUTSIDE: Final = {"-4": "203.0.113.1", "-6": "2001:db8::1"}
_NO_SERVER: Final = "192.0.2.53"
# Docker calls the interfaces of its networks eth0, eth1, ...; pods have others.
_NEW: Final = ("--out-interface", "eth+", "--match", "conntrack", "--ctstate", "NEW")
_TABLES: Final = {
    "iptables": "icmp-host-unreachable",
    "ip6tables": "icmp6-addr-unreachable",
}
_REPOSITORY: Final = "rke2pack/not-there:none"
# Go's texts for EHOSTUNREACH, ENETUNREACH, and EADDRNOTAVAIL: nowhere to start from (IPv6).
_NO_ROUTE: Final = (
    *("no route to host", "network is unreachable"),
    "cannot assign requested address",
)
_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node's container; ``docker`` is the client program, which kind calls too."""

    docker: Path
    container: str
    programs: Programs = field(default_factory=Programs)

    @classmethod
    def find(cls, container: str, programs: Programs | None = None) -> Node:
        """Return the node of a container; raises ToolError where there is no docker program."""
        docker = process.find("docker")
        return cls(docker=docker, container=container, programs=programs or Programs())

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
        code, out, said = self._called(*command)
        return code, out, line(said)

    def _called(self, *command: str) -> tuple[int, str, str]:
        called: tuple[str | Path, ...] = (self.docker, "exec", self.container, *command)
        done = process.run(called, timeout=_SECONDS, among=self.programs)
        texts = [each.decode(errors="replace") for each in (done.stdout, done.stderr)]
        return done.returncode, texts[0], texts[1]

    def load(self, archive: ArchiveFile, platform: Platform) -> str:
        """Import an archive's images for a platform; return why not, or nothing.

        Raises ToolError where the disk is full.
        """
        wanted = ("images", "import", "--platform", str(platform), "-")
        inside = ("exec", "--interactive", self.container, *_CTR, *wanted)
        called = (self.docker, *inside)
        done = process.feed(called, archive.tar(), timeout=_SECONDS, among=self.programs)
        said = line(done.stderr.decode(errors="replace"))
        check_room(said, title=self.container, archive=archive.path.name)
        return (said or f"exit code {done.returncode}") if done.returncode else ""

    def images(self) -> frozenset[str]:
        """Return the names of all images that its pods can have, not their ids."""
        listed = self.run(*_CTR, "images", "ls", "--quiet").split()
        return frozenset(each for each in listed if not each.startswith("sha256:"))

    def cut_off(self) -> tuple[str, ...]:
        """Take every way to a registry away, and prove it by pulls that must fail.

        There is no route out of the node's network then, no server for names, and no connection
        may begin towards others in that network: its host or another container may be a registry.
        Returns what the pulls said. Raises ToolError where one could have succeeded.
        """
        near = self._neighbours()
        for family in _OUTSIDE:
            self.tried("ip", family, "route", "flush", "default")
            self.tried("ip", family, "route", "add", "unreachable", "default")
        for program, answer in _TABLES.items():
            self.tried(
                *(program, "--wait", "--insert", "OUTPUT", *_NEW),
                *("--jump", "REJECT", "--reject-with", answer),
            )
        self.run("sh", "-c", f"echo nameserver {_NO_SERVER} >/etc/resolv.conf")
        hosts = ("registry.example.com", f"{_OUTSIDE['-4']}:5000", f"[{_OUTSIDE['-6']}]:5000")
        return tuple(map(self._failed_pull, (*hosts, *(f"{each}:5000" for each in near))))

    def _neighbours(self) -> tuple[str, ...]:
        """Return the addresses of the gateways, which are the host of the engine."""
        found = []
        for family in _OUTSIDE:
            words = self.run("ip", family, "route", "show", "default").split()
            places = [place + 1 for place, word in enumerate(words) if word == "via"]
            found += [words[place] for place in places]
        return tuple(f"[{each}]" if ":" in each else each for each in dict.fromkeys(found))

    def _failed_pull(self, host: str) -> str:
        """Return how a pull from a host failed, which has to be for want of a route."""
        command = ("images", "pull", "--plain-http", f"{host}/{_REPOSITORY}")
        code, _, said = self._called("timeout", "60", *_CTR, *command)
        reason = next((each for each in _NO_ROUTE if each in said), "")
        if not code or not reason:
            last = line(said.strip().rpartition("\n")[2]) or f"exit code {code}"
            msg = f"{self.container}: a pull from {host} does not fail for want of a route: {last}"
            hint = "name a node image that has iptables and ip (iproute2), as kindest/node has"
            raise ToolError(msg, hint=hint)
        return f"{host}: {reason}"
