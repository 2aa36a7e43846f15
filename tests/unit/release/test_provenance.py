"""Statements from outside: read strictly, refused with an error of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rke2pack.errors import IntegrityError
from rke2pack.release import provenance

SHA = "a" * 64


def statement(**changes: object) -> dict[str, Any]:
    predicate = {
        "buildDefinition": {
            "buildType": provenance.BUILD_TYPE,
            "externalParameters": {"tag": "v1.32.4+rke2r1"},
        },
        "runDetails": {
            "builder": {"id": "urn:x"},
            "metadata": {"finishedOn": "2025-01-01T00:00:00Z"},
        },
    }
    return {
        "_type": provenance.STATEMENT_TYPE,
        "subject": [{"name": "a.txt", "digest": {"sha256": SHA}}],
        "predicateType": provenance.PREDICATE_TYPE,
        "predicate": predicate,
        **changes,
    }


def test_statement_is_read() -> None:
    found = provenance.parse(json.dumps(statement()).encode(), what="p")
    assert (found.tag, found.builder) == ("v1.32.4+rke2r1", "urn:x")
    assert {name: digest.hex for name, digest in found.subjects.items()} == {"a.txt": SHA}
    assert found.finished is not None
    assert found.finished.isoformat() == "2025-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"_type": "https://in-toto.io/Statement/v0.1"}, "is no in-toto Statement v1"),
        ({"predicateType": "https://slsa.dev/provenance/v0.2"}, "is no provenance of SLSA v1"),
        ({"predicate": []}, "has no predicate.buildDefinition"),
        ({"predicate": {"buildDefinition": {"buildType": "x"}}}, "its buildType is not"),
        ({"subject": []}, "has no subjects"),
        ({"subject": {"name": "x"}}, "has no subjects"),
        ({"subject": ["x"]}, "a subject has no name or no sha256"),
        ({"subject": [{"name": "x", "digest": {"md5": "0"}}]}, "has no name or no sha256"),
        ({"subject": [{"name": "../x", "digest": {"sha256": SHA}}]}, "has no name or no sha256"),
        ({"subject": [{"name": "x", "digest": {"sha256": "zz"}}]}, "not a sha256 digest"),
        ({"subject": [{"name": "x", "digest": {"sha256": SHA}}] * 2}, "'x' stands twice"),
    ],
    ids=range(11),
)
def test_what_is_no_statement_of_ours_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(IntegrityError, match=said):
        provenance.parse(json.dumps(statement(**changes)).encode(), what="p")


@pytest.mark.parametrize("moment", ["yesterday", "2025-01-01T00:00:00", 5])
def test_time_that_is_none_is_refused(moment: object) -> None:
    document = statement()
    document["predicate"]["runDetails"]["metadata"]["finishedOn"] = moment
    with pytest.raises(IntegrityError, match="finishedOn"):
        provenance.parse(json.dumps(document).encode(), what="p")


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"[" * 5000, b"\xff\xfe"])
def test_any_bytes_are_refused_with_an_error_of_ours(raw: bytes) -> None:
    with pytest.raises(IntegrityError):
        provenance.parse(raw, what="p")
