"""A registry on loopback that can do everything a real one does wrong.

It speaks the OCI distribution-spec and the distribution project's token
authentication, as `Simulator` says.
"""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from rke2pack.digest import Digest
from rke2pack.oci import media
from tests.contract.loopback import listening
from tests.contract.oci.blobexchange import BlobExchange
from tests.contract.oci.connection import PATH
from tests.contract.oci.simulated import Request, Simulator

__all__ = ["Exchange", "Request", "Simulator", "serving"]


class Exchange(BlobExchange):
    """One request being answered."""

    def route(self) -> None:
        simulator = self.simulator
        parts = urlsplit(self.path)
        if parts.path == "/token":
            self.token(parse_qs(parts.query))
            return
        if parts.path.startswith("/storage/"):
            self.blob(simulator.blobs[_stored(parts.path)], _stored(parts.path)[1])
            return
        with simulator.lock:
            fault = simulator.statuses.pop(0) if simulator.statuses else None
        if fault is not None:
            self.send(fault[0], b"", fault[1])
            return
        if not self.is_allowed():
            return
        if self.command in simulator.refusals:
            self.drain()
            self.fail(*simulator.refusals[self.command])
        elif parts.path == "/v2/":
            self.send(200, b"{}")
        else:
            self._content(parts.path, parse_qs(parts.query))

    def _content(self, path: str, query: Mapping[str, list[str]]) -> None:
        match = PATH.match(path)
        if match is None:
            self.fail(404, "NAME_UNKNOWN")
        elif match["kind"] == "manifests":
            self._manifest(match["repository"], match["rest"])
        elif match["kind"] == "referrers":
            self._referrers(match["repository"], match["rest"])
        elif match["kind"] == "tags":
            self._tags(match["repository"], query)
        elif match["rest"].startswith("uploads/"):
            self.upload(match["repository"], match["rest"][8:], query)
        else:
            self.stored_blob(match["repository"], Digest.parse(match["rest"]))

    def _manifest(self, repository: str, name: str) -> None:
        simulator = self.simulator
        if self.command == "PUT":
            body, kind = self.drain(), self.headers.get("Content-Type", "")
            digest = Digest.of(body)
            if simulator.is_strict and not self._is_complete(repository, json.loads(body)):
                self.fail(400, "MANIFEST_BLOB_UNKNOWN")
                return
            simulator.manifests[repository, str(digest)] = (kind, body)
            simulator.manifests[repository, name] = (kind, body)
            self.send(201, b"", {"Docker-Content-Digest": str(digest)})
            return
        found = simulator.manifests.get((repository, name))
        if found is None:
            self.fail(404, "MANIFEST_UNKNOWN")
            return
        if self.command == "DELETE":
            self._delete(repository, name)
            return
        kind, body = found
        headers = {"Content-Type": kind}
        if simulator.has_digest_header:
            headers["Docker-Content-Digest"] = simulator.wrong_digest_header or str(Digest.of(body))
        if simulator.knows_conditions and self._is_known(str(Digest.of(body))):
            # As docker-registry does: without a body, type or digest.
            self.send(304, b"")
            return
        body = simulator.bodies.get(Digest.of(body), body)
        self.send(200, body, headers)

    def _is_known(self, digest: str) -> bool:
        return self.headers.get("If-None-Match") == f'"{digest}"'

    def _is_complete(self, repository: str, document: Mapping[str, Any]) -> bool:
        """Whether the repository has all that a manifest or index names."""
        simulator = self.simulator
        named = [document["config"], *document["layers"]] if "layers" in document else []
        return all(
            (repository, Digest.parse(b["digest"])) in simulator.blobs for b in named
        ) and all(
            (repository, each["digest"]) in simulator.manifests
            for each in document.get("manifests", [])
        )

    def _delete(self, repository: str, name: str) -> None:
        simulator, is_tag = self.simulator, ":" not in name
        if simulator.deletes == "none" or (is_tag and simulator.deletes == "manifests"):
            self.fail(405, "UNSUPPORTED")
            return
        gone = simulator.manifests.pop((repository, name))
        if not is_tag:
            for key, value in list(simulator.manifests.items()):
                if key[0] == repository and value == gone:
                    del simulator.manifests[key]
        self.send(202, b"")

    def _referrers(self, repository: str, subject: str) -> None:
        if repository in self.simulator.unknown_repositories:
            self.fail(404, "NAME_UNKNOWN")
            return
        if not self.simulator.has_referrers:
            # As docker-registry does, which has no such address.
            self.send(404, b"404 page not found\n", {"Content-Type": "text/plain"})
            return
        found = {
            name: {"mediaType": kind, "digest": name, "size": len(body)}
            for (own, name), (kind, body) in self.simulator.manifests.items()
            if own == repository and ":" in name
            if (json.loads(body).get("subject") or {}).get("digest") == subject
        }
        listed = [found[name] for name in sorted(found)]
        document = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": listed}
        headers = {"Content-Type": media.OCI_INDEX, **self._endless()}
        self.send(200, json.dumps(document).encode(), headers)

    def _endless(self) -> dict[str, str]:
        """Name a next page that is always another one."""
        if not self.simulator.has_endless_pages:
            return {}
        place = urlsplit(self.path).path
        return {"Link": f'<{place}?page={len(self.simulator.requests)}>; rel="next"'}

    def _tags(self, repository: str, query: Mapping[str, list[str]]) -> None:
        tags = [tag for name, tag in sorted(self.simulator.manifests) if name == repository]
        tags = [tag for tag in tags if ":" not in tag]
        last = query.get("last", [""])[0]
        rest = [tag for tag in tags if tag > last]
        page = rest[: self.simulator.page]
        if self.simulator.has_endless_pages:
            self.send(200, json.dumps({"name": repository, "tags": []}).encode(), self._endless())
            return
        headers = {}
        if self.simulator.next_page:
            headers["Link"] = f'<{self.simulator.next_page}>; rel="next"'
        elif len(rest) > len(page):
            link = f"/v2/{repository}/tags/list?last={page[-1]}&n={self.simulator.page}"
            headers["Link"] = f'<{link}>; rel="next"'
        self.send(200, json.dumps({"name": repository, "tags": page}).encode(), headers)


def _stored(path: str) -> tuple[str, Digest]:
    repository, _, digest = path.removeprefix("/storage/").rpartition("/")
    return repository, Digest.parse(digest)


@contextlib.contextmanager
def serving(
    *, address: str = "127.0.0.1", port: int = 0, context: ssl.SSLContext | None = None
) -> Iterator[Simulator]:
    """Run a registry for the length of a block."""
    simulator = Simulator()
    handler = type("Handler", (Exchange,), {"simulator": simulator})
    with listening(handler, simulator.stop, address=address, port=port, tls=context) as host:
        simulator.host = host
        yield simulator
