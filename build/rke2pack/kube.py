"""The door to the API server of a cluster."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import urllib3.exceptions
from kubernetes import client, config

from rke2pack.errors import NotFoundError, ToolError

_SECONDS: Final = 30
_PAGE: Final = 500
_NAMES_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_MERGE: Final = "application/merge-patch+json"
_PAUSE: Final = 0.5
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_REFUSALS: Final = frozenset({400, 403, 413, 422})


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Named:
    """What tells an object from all others; ``namespace`` is empty for the cluster's own.

    ``group`` is empty for the core group, ``uid`` that of this very object.
    """

    group: str
    kind: str
    namespace: str
    name: str
    uid: str = ""

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A kind that the API server lists: where, and what its objects are called."""

    path: str
    group: str
    kind: str
    plural: str


class Cluster:
    """One API server, as a kubeconfig names it."""

    def __init__(self, api: client.ApiClient) -> None:
        """Use ``api``; `connect` makes one."""
        self._api = api

    @classmethod
    def connect(cls, kubeconfig: Path) -> Cluster:
        """Read a kubeconfig; raises ToolError where it is none."""
        try:
            return cls(config.new_client_from_config(str(kubeconfig)))
        except (config.ConfigException, OSError) as exc:
            msg = f"{kubeconfig}: not a usable kubeconfig: {_line(exc)}"
            raise ToolError(msg) from exc

    def get(self, path: str, *, accept: str = "application/json") -> Mapping[str, Any]:
        """Return a JSON document; raises NotFoundError, and ToolError for anything else."""
        try:
            found = json.loads(self._call("GET", path, accept=accept))
        except (ValueError, RecursionError) as exc:
            msg = f"{path}: the API server answers no JSON"
            raise ToolError(msg) from exc
        if not isinstance(found, dict):
            msg = f"{path}: the API server answers no object"
            raise ToolError(msg)
        return found

    def text(self, path: str) -> str:
        """Return a plain text (a log); raises as `get`."""
        return self._call("GET", path, accept="*/*").decode(errors="replace")

    def items(self, path: str, *, accept: str = "application/json") -> Iterator[Mapping[str, Any]]:
        """Yield the objects of a list, page after page."""
        following = ""
        while True:
            join = "&" if "?" in path else "?"
            page = f"{path}{join}limit={_PAGE}" + (f"&continue={following}" if following else "")
            found = self.get(page, accept=accept)
            yield from found.get("items") or ()
            following = str((found.get("metadata") or {}).get("continue") or "")
            if not following:
                return

    def version(self) -> str:
        """Return the API server's version, ``v1.32.5``."""
        return str(self.get("/version").get("gitVersion", ""))

    def resources(self) -> Iterator[Resource]:
        """Yield every kind that can be listed, in the version that the server prefers."""
        paths = {"": "/api/v1"}
        for group in self.get("/apis").get("groups") or ():
            paths[group["name"]] = f"/apis/{group['preferredVersion']['groupVersion']}"
        for name, path in paths.items():
            try:
                listed = self.get(path).get("resources") or ()
            except (NotFoundError, ToolError):
                # An aggregated API whose program does not answer (metrics.k8s.io) has no objects.
                if path not in self._own_paths():
                    continue
                raise
            for each in listed:
                if "/" not in each["name"] and "list" in each.get("verbs", ()):
                    yield Resource(path=path, group=name, kind=each["kind"], plural=each["name"])

    def _own_paths(self) -> frozenset[str]:
        """Return the paths of the APIs that the API server serves itself."""
        services = self.items("/apis/apiregistration.k8s.io/v1/apiservices")
        own = (each["spec"] for each in services if not each["spec"].get("service"))
        return frozenset(
            f"/apis/{each['group']}/{each['version']}" if each.get("group") else "/api/v1"
            for each in own
        )

    def objects(self) -> frozenset[Named]:
        """Return every object of the cluster by name."""
        found = set()
        for resource in self.resources():
            with contextlib.suppress(NotFoundError):
                path = f"{resource.path}/{resource.plural}"
                for item in self.items(path, accept=_NAMES_ONLY):
                    metadata = item["metadata"]
                    found.add(
                        Named(
                            group=resource.group,
                            kind=resource.kind,
                            namespace=str(metadata.get("namespace") or ""),
                            name=str(metadata["name"]),
                            uid=str(metadata.get("uid") or ""),
                        )
                    )
        return frozenset(found)

    def create(self, document: Mapping[str, Any]) -> bool:
        """Create an object; False where it is there already. Raises ToolError."""
        try:
            self._call("POST", self._place(document, "default"), body=document)
        except _ConflictError:
            return False
        return True

    def refusal(self, document: Mapping[str, Any], *, namespace: str) -> str:
        """Return why the API server would not create an object; empty where it would.

        It is asked in a dry run; fields that it does not know it leaves out, as when it creates.
        ``namespace`` is for an object that names none. Raises ToolError where it does not answer.
        """
        try:
            place = self._place(document, namespace)
            self._call("POST", f"{place}?dryRun=All", body=document)
        except _ConflictError:
            return ""
        except (_RefusedError, NotFoundError) as exc:
            return exc.message
        return ""

    def _place(self, document: Mapping[str, Any], namespace: str) -> str:
        """Return the path of an object's kind; raises _RefusedError where there is none."""
        kind, version = str(document["kind"]), str(document["apiVersion"])
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        try:
            listed = self.get(path).get("resources") or ()
        except NotFoundError:
            listed = ()
        found = next((e for e in listed if e["kind"] == kind and "/" not in e["name"]), None)
        if found is None:
            msg = f"{version} {kind}: the API server knows no such kind"
            raise _RefusedError(msg)
        if found.get("namespaced"):
            path += f"/namespaces/{document['metadata'].get('namespace') or namespace}"
        return f"{path}/{found['name']}"

    def label(self, node: str, labels: Mapping[str, str]) -> None:
        """Give a node labels; raises ToolError."""
        body = {"metadata": {"labels": dict(labels)}}
        self._call("PATCH", f"/api/v1/nodes/{node}", body=body, content=_MERGE)

    def wait_defined(self, *, seconds: float) -> bool:
        """Wait until every custom resource that is defined is served; False where one is not."""
        until = time.monotonic() + seconds
        while not self._serves_all():
            if time.monotonic() > until:
                return False
            time.sleep(_PAUSE)
        return True

    def _serves_all(self) -> bool:
        wanted: dict[str, set[str]] = {}
        for each in self.items("/apis/apiextensions.k8s.io/v1/customresourcedefinitions"):
            spec = each["spec"]
            for version in spec["versions"]:
                if version.get("served"):
                    path = f"{spec['group']}/{version['name']}"
                    wanted.setdefault(path, set()).add(spec["names"]["plural"])
        for path, names in wanted.items():
            try:
                listed = self.get(f"/apis/{path}").get("resources") or ()
            except NotFoundError:
                return False
            if not names <= {each["name"] for each in listed}:
                return False
        return True

    def wait_ready(self, *, seconds: float) -> None:
        """Wait until the API server says that it is ready; raises ToolError."""
        until = time.monotonic() + seconds
        while True:
            try:
                self.text("/readyz")
            except (ToolError, NotFoundError):
                if time.monotonic() > until:
                    raise
                time.sleep(1)
            else:
                return

    def _call(
        self,
        method: str,
        path: str,
        *,
        accept: str = "application/json",
        body: Mapping[str, Any] | None = None,
        content: str = "application/json",
    ) -> bytes:
        try:
            answer = self._api.call_api(
                path,
                method,
                header_params={"Accept": accept, "Content-Type": content},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=_SECONDS,
            )
        except client.ApiException as exc:
            msg = f"{path}: the API server says {exc.status}: {_line(exc.body or exc.reason)}"
            if exc.status == _NOT_FOUND:
                raise NotFoundError(msg) from exc
            if exc.status == _CONFLICT:
                raise _ConflictError(msg) from exc
            if exc.status in _REFUSALS:
                raise _RefusedError(msg) from exc
            raise ToolError(msg) from exc
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            msg = f"{path}: the API server cannot be reached: {_line(exc)}"
            raise ToolError(msg, hint="look at the logs of the cluster's nodes") from exc
        return bytes(answer.data)

    def close(self) -> None:
        """Let go of the connections."""
        self._api.close()


class _ConflictError(ToolError):
    """The object is there already."""


class _RefusedError(ToolError):
    """The object is not as the API server wants it."""


def _line(reason: object) -> str:
    text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        text = str(json.loads(text).get("message") or text)
    return " ".join(text.split())[:300]
