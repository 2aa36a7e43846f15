"""A folder in which the commands of a page are run, one after the other, by real programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rke2pack import cli
from tests.integration.workflows.repository import Network

PROJECT: Final = Path(__file__).resolve().parents[3]
# As session WORD of noxfile.py, which exits with 1 for every failure; no environment is made.
_NOX: Final = f"""#!/bin/sh
[ "$1" = -s ] || exit 2
session=$2; shift 2; [ "$1" = -- ] && shift
case $session in
  bench) exec {sys.executable} {PROJECT}/benchmarks "$@" ;;
  kind-rows) PYTHONPATH={PROJECT} exec {sys.executable} -m tests.kind.rows "$@" ;;
esac
{sys.executable} -m rke2pack "$session" "$@" || exit 1
"""
_RKE2PACK: Final = f'#!/bin/sh\nexec {sys.executable} -m rke2pack "$@"\n'
_PYTHON: Final = f'#!/bin/sh\nexec {sys.executable} "$@"\n'
_AUTHOR: Final = {
    f"GIT_{role}_{name}": value
    for role in ("AUTHOR", "COMMITTER")
    for name, value in {"NAME": "A Tester", "EMAIL": "tester@example.com"}.items()
}
_LAB: Final = re.compile(r"--lab\b|rke2pack lab\b|-s lab\b")
_SERVE: Final = re.compile(r"(?:rke2pack|nox -s) serve\b")
_OPEN: Final = {200, 401}
_SECONDS: Final = 600  # of a machine that does much else


@dataclass(kw_only=True)
class World:
    """``root`` has the folder ``tree``, where commands are run, and what lies beside it.

    ``values`` stand in the place of what they are named by: addresses and
    words such as TAG. ``environment`` is all that commands see.
    """

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    folder: str = "tree"

    @property
    def tree(self) -> Path:
        """Where commands are run."""
        return self.root / self.folder

    @property
    def home(self) -> Path:
        """The user's folder."""
        return self.root / "home"

    def written(self, text: str) -> str:
        """Return a command with the world's values in it, the longest name first."""
        names = sorted(self.values, key=len, reverse=True)
        places = re.compile("|".join(map(re.escape, names)) or "$^")
        return places.sub(lambda place: self.values[place[0]], text)

    def run(self, text: str, *, code: int = 0) -> str:
        """Run a command as it is written in the documents; it must end with ``code``."""
        line = self.written(text)
        if _SERVE.search(line):
            return self.serve(line)
        done = self.start(line)
        out, err = done.communicate(b"the password\n" * 2, timeout=_SECONDS)
        said = out.decode(errors="replace")
        told = f"{line}\nin {self.tree}: {done.returncode}\n{said}{err.decode(errors='replace')}"
        assert done.returncode == code, told[-6000:]
        assert b"Traceback" not in err, told[-6000:]
        return said

    def start(self, line: str, **more: str) -> subprocess.Popen[bytes]:
        """Begin a command line, without a terminal."""
        return subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=self.tree, env={**self._environment(line), **more}, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def serve(self, line: str) -> str:
        """Run a server, ask it as any client, and end it by its own process."""
        more = {"RKE2PACK_SERVE_JSON": "1", "RKE2PACK_SERVE_LISTEN": "127.0.0.1:0"}
        process = self.start(f"exec {line}", **more)
        assert process.stdout is not None
        try:
            lines = []
            while (said := process.stdout.readline()) and said != b"}\n":
                lines.append(said)
            document: dict[str, Any] = json.loads(b"".join([*lines, b"}"]))
            assert _status(f"{document['address']}/v2/") in _OPEN
        finally:
            process.terminate()
            _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
        return json.dumps(document)

    def _environment(self, line: str) -> Mapping[str, str]:
        """Return what a command sees; the lab brings a network of its own."""
        if not _LAB.search(line):
            return self.environment
        return {n: text for n, text in self.environment.items() if not n.startswith("RKE2PACK_")}

    def copy(self, root: Path) -> World:
        """Return the same world in another folder."""
        shutil.copytree(self.root, root, symlinks=True)
        environment = {
            name: text.replace(str(self.root), str(root)) for name, text in self.environment.items()
        }
        return World(root=root, environment=environment, values=dict(self.values))


def _status(url: str) -> int:
    context = ssl._create_unverified_context()  # noqa: S323 - a certificate of the test's own
    try:
        with urllib.request.urlopen(url, context=context) as answer:  # noqa: S310 - our own address
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        return exc.code


_ASKING = ("AIRGAP", "IMAGES", "MIRROR", "PULL")


def asked(network: Network) -> dict[str, str]:
    """Return the variables that make every word ask the lab instead of the world."""
    endpoint = f"docker.io={network.images}/docker.io"
    return {
        **{f"RKE2PACK_{word.upper()}_CHARTS_REPO": network.charts for word in cli.WORDS},
        **{f"RKE2PACK_{word}_ENDPOINT": endpoint for word in _ASKING},
    }


def new(root: Path, network: Network) -> World:
    """Make an empty world, with our programs first on its PATH."""
    for name in ("bin", "home", "tree"):
        (root / name).mkdir(parents=True)
    for name, text in {"rke2pack": _RKE2PACK, "nox": _NOX, "python": _PYTHON}.items():
        (root / "bin" / name).write_text(text)
        (root / "bin" / name).chmod(0o755)
    system = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    environment = {
        **_AUTHOR,
        **asked(network),
        "PATH": f"{root / 'bin'}{os.pathsep}{system}",
        "HOME": str(root / "home"),
        "XDG_CACHE_HOME": str(root / "cache"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "NO_COLOR": "1",
    }
    return World(root=root, environment=environment)
