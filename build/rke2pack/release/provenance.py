"""Provenance: an in-toto Statement v1 with SLSA's provenance v1 over every file of a release.

Sources: in-toto attestation spec/v1/statement.md; slsa.dev/spec/v1.0/provenance. The
statement is built and checked with in-toto-attestation's messages; what comes from
outside is read strictly.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rke2pack import strictjson
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, PackError
from rke2pack.release.asset import Asset

if TYPE_CHECKING:
    from rke2pack.release.bill import Bill

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "urn:rke2pack:release:v1"
LOCAL_BUILDER: Final = "urn:rke2pack:builder:local"
MAX_BYTES: Final = 32 * 1024 * 1024
MAX_SUBJECTS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who builds from what: ``commit`` is empty for a tree outside git."""

    builder: str = LOCAL_BUILDER
    invocation: str = ""
    source: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a statement says: files by name, for which tag, and when it was made."""

    tag: str
    subjects: Mapping[str, Digest]
    finished: datetime | None
    builder: str


def build(bill: Bill, assets: Iterable[Asset], origin: Origin) -> bytes:
    """Return the statement as JSON: the same release and origin give the same bytes."""
    from google.protobuf import json_format  # noqa: PLC0415 - slow, and for releases alone
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2  # noqa: PLC0415
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor  # noqa: PLC0415
    from in_toto_attestation.v1.statement import Statement as Message  # noqa: PLC0415

    subjects = [
        ResourceDescriptor(name=asset.name, digest={"sha256": asset.digest.hex}).pb
        for asset in sorted(assets, key=lambda each: each.name)
    ]
    # Read into SLSA's own message first, which refuses fields that it does not know.
    predicate = json_format.ParseDict(_predicate(bill, origin), provenance_pb2.Provenance())
    message = Message(subjects, PREDICATE_TYPE, json_format.MessageToDict(predicate))
    message.validate()
    document = json_format.MessageToDict(message.pb)
    return f"{json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)}\n".encode()


def _predicate(bill: Bill, origin: Origin) -> dict[str, Any]:
    finished = bill.moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"finishedOn": finished}
    source = {"source": origin.source} if origin.source else {}
    if origin.invocation:
        metadata["invocationId"] = origin.invocation
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"tag": bill.tag, **source},
            "resolvedDependencies": [*_sources(origin), *_charts(bill), *_images(bill)],
        },
        "runDetails": {"builder": {"id": origin.builder}, "metadata": metadata},
    }


def _sources(origin: Origin) -> Iterable[dict[str, Any]]:
    if origin.commit:
        uri = f"git+{origin.source}" if origin.source else "git+urn:rke2pack:tree"
        yield {"uri": uri, "digest": {"gitCommit": origin.commit}}


def _charts(bill: Bill) -> Iterable[dict[str, Any]]:
    for chart in bill.charts:
        yield {"name": chart.name, "uri": chart.url, "digest": {"sha256": chart.digest.hex}}


def _images(bill: Bill) -> Iterable[dict[str, Any]]:
    for image in bill.images:
        entry: dict[str, Any] = {"name": str(image.reference)}
        if image.locked:
            entry["digest"] = {"sha256": image.locked.hex}
        yield entry


def parse(raw: bytes, *, what: str) -> Statement:
    """Read a statement that came from outside; raises IntegrityError naming ``what``."""
    document = strictjson.load_object(raw, what=what, max_bytes=MAX_BYTES)
    if document.get("_type") != STATEMENT_TYPE:
        raise _wrong(what, "is no in-toto Statement v1")
    if document.get("predicateType") != PREDICATE_TYPE:
        raise _wrong(what, "is no provenance of SLSA v1")
    definition = _object(document, ("predicate", "buildDefinition"), what)
    if definition.get("buildType") != BUILD_TYPE:
        raise _wrong(what, f"its buildType is not {BUILD_TYPE}")
    tag = _object(definition, ("externalParameters",), what).get("tag")
    details = _object(document, ("predicate", "runDetails"), what)
    builder = _object(details, ("builder",), what).get("id")
    if not isinstance(tag, str) or not isinstance(builder, str):
        raise _wrong(what, "names no tag, or no builder")
    return Statement(
        tag=tag,
        subjects=_subjects(document.get("subject"), what),
        finished=_moment(_object(details, ("metadata",), what).get("finishedOn"), what),
        builder=builder,
    )


def _subjects(found: object, what: str) -> Mapping[str, Digest]:
    if not isinstance(found, list) or not 0 < len(found) <= MAX_SUBJECTS:
        raise _wrong(what, "has no subjects, or too many")
    subjects: dict[str, Digest] = {}
    for each in found:
        name = each.get("name") if isinstance(each, dict) else None
        digests = each.get("digest") if isinstance(each, dict) else None
        value = digests.get("sha256") if isinstance(digests, dict) else None
        if not isinstance(name, str) or not isinstance(value, str) or "/" in name or not name:
            raise _wrong(what, "a subject has no name or no sha256")
        if name in subjects:
            raise _wrong(what, f"{name[:200]!r} stands twice")
        try:
            subjects[name] = Digest.parse(value)
        except PackError as exc:
            raise _wrong(what, exc.message) from exc
    return subjects


def _object(document: Mapping[str, Any], path: tuple[str, ...], what: str) -> Mapping[str, Any]:
    node: Any = document
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        raise _wrong(what, f"has no {'.'.join(path)}")
    return node


def _moment(text: object, what: str) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError as exc:
        raise _wrong(what, f"finishedOn is no time: {str(text)[:50]!r}") from exc
    if found.tzinfo is None:
        raise _wrong(what, "finishedOn has no time zone")
    return found


def _wrong(what: str, why: str) -> IntegrityError:
    return IntegrityError(f"{what}: {why}")
