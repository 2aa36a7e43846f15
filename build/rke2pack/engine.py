"""The door to a local docker engine, for images that are built here and nowhere else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import docker
import docker.errors

from rke2pack.errors import NotFoundError, ToolError

# The engine packs an image before it sends the first byte.
_SECONDS = 900


class Engine:
    """Reads images of the engine that the environment names (DOCKER_HOST and its kin)."""

    def __init__(self, client: docker.DockerClient) -> None:
        """Use ``client``; `connect` makes one."""
        self._client = client

    @classmethod
    def connect(cls, environment: Mapping[str, str]) -> Engine:
        """Reach the engine; raises ToolError where there is none."""
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
        raise ToolError(msg, hint="start it, or name it with DOCKER_HOST") from exc


def _line(reason: object) -> str:
    return " ".join(str(reason).split())[:300]
