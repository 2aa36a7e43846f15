"""What is at which address: the registry below /v2/, the charts below /charts/."""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus

from rke2pack.helm.shelf import Shelf
from rke2pack.oci.server import PREFIX, RegistryServer
from rke2pack.serving import message
from rke2pack.serving.message import Answer, Request

CHARTS = "/charts"
_TEXT = "rke2pack serve: images below /v2/, charts below /charts/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A registry, and charts where there are any."""

    registry: RegistryServer
    shelf: Shelf | None = None

    def __call__(self, request: Request) -> Answer:
        """Answer a request."""
        path = request.path
        if path == PREFIX or path.startswith(f"{PREFIX}/"):
            return self.registry(request)
        if request.method not in message.READS:
            return message.read_only()
        if self.shelf is not None and path.startswith(f"{CHARTS}/"):
            return self.shelf.answer(replace(request, path=path.removeprefix(f"{CHARTS}/")))
        if path == "/":
            return Answer.text(HTTPStatus.OK, _TEXT)
        return message.not_found()
