"""The door to a local docker engine: images that are built here, and a place to try archives."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors

from rke2pack.errors import NotFoundError, ToolError

# The engine packs an image before it sends the first byte.
_SECONDS = 900
_UNIX = "unix://"
_DEFAULT_HOST = "unix:///var/run/docker.sock"
_HINT = "start it, or name it with DOCKER_HOST"


class Engine:
    """The engine that the environment names (DOCKER_HOST and its kin)."""

    def __init__(self, client: docker.DockerClient) -> None:
        """Use ``client``; `connect` makes one."""
        self._client = client

    @classmethod
    def connect(cls, environment: Mapping[str, str]) -> Engine:
        """Reach the engine; raises ToolError where there is none."""
        host = environment.get("DOCKER_HOST") or _DEFAULT_HOST
        if host.startswith(_UNIX) and not Path(host.removeprefix(_UNIX)).exists():
            msg = f"the docker engine cannot be reached: no socket {host.removeprefix(_UNIX)}"
            raise ToolError(msg, hint=_HINT)
        with _reported("the docker engine"):
            return cls(
                docker.DockerClient.from_env(
                    version="auto", timeout=_SECONDS, environment=dict(environment)
                )
            )

    def identity(self, name: str) -> str:
        """Return the id of an image (``sha256:...``); raises NotFoundError."""
        with _reported(name):
            return str(self._client.images.get(name).id)

    @contextlib.contextmanager
    def export(self, name: str) -> Iterator[Iterator[bytes]]:
        """Give the tar that ``docker save`` writes, as a stream; raises NotFoundError."""
        with _reported(name):
            yield self._client.api.get_image(name)

    def version(self) -> tuple[str, str]:
        """Return the engine's version (``20.10.24``) and what it runs on (``linux``)."""
        with _reported("the docker engine"):
            found = self._client.version()
        return str(found.get("Version", "")), str(found.get("Os", ""))

    def names(self) -> dict[str, str]:
        """Return the short name of every image and its id; an image without a name by its id."""
        with _reported("the docker engine"):
            found = self._client.api.images(all=True)
        names = {str(each["Id"]): str(each["Id"]) for each in found}
        for each in found:
            names |= dict.fromkeys(map(str, each.get("RepoTags") or ()), str(each["Id"]))
        return names

    def load(self, chunks: Iterable[bytes]) -> str:
        """Load a tar; return why the engine does not take it, or nothing.

        Raises ToolError where the engine does not answer any more.
        """
        api: Any = self._client.api
        try:
            for said in api.load_image(chunks):
                if "error" in said:
                    return _line(said["error"])
        except docker.errors.APIError as exc:
            return _line(exc.explanation or exc)
        except (docker.errors.DockerException, OSError) as exc:
            # An engine that has seen enough closes the connection.
            with _reported("load"):
                self._client.ping()
            return _line(exc)
        return ""

    def inspect(self, name: str) -> Mapping[str, Any]:
        """Return what the engine knows of an image; raises NotFoundError."""
        api: Any = self._client.api
        with _reported(name):
            found: Mapping[str, Any] = api.inspect_image(name)
        return found

    def tag(self, name: str, other: str) -> None:
        """Give an image another name (``host/path:tag``) as well."""
        repository, _, tag = other.rpartition(":")
        with _reported(name):
            self._client.api.tag(name, repository, tag)

    def remove(self, name: str) -> None:
        """Take a name away, and the image with its last one; nothing happens where it is not."""
        with contextlib.suppress(NotFoundError), _reported(name):
            self._client.api.remove_image(name)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


@contextlib.contextmanager
def _reported(what: str) -> Iterator[None]:
    try:
        yield
    except docker.errors.ImageNotFound as exc:
        msg = f"{what}: the docker engine has no such image"
        raise NotFoundError(msg, hint="build or load it first, or pull it from a registry") from exc
    except docker.errors.APIError as exc:
        msg = f"{what}: the docker engine says: {_line(exc.explanation or exc)}"
        raise ToolError(msg) from exc
    # requests' errors, which docker lets through, are OSErrors.
    except (docker.errors.DockerException, OSError) as exc:
        msg = f"{what}: the docker engine cannot be reached: {_line(exc)}"
        raise ToolError(msg, hint=_HINT) from exc


def _line(reason: object) -> str:
    return " ".join(str(reason).split())[:300]
