"""JSON that two readers cannot understand differently, within ceilings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from rke2pack.errors import IntegrityError

MAX_DEPTH = 32


def dump(document: object) -> bytes:
    """Return a document in its shortest form, keys in the order they have."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def load_object(raw: bytes, *, what: str, max_bytes: int) -> Mapping[str, Any]:
    """Parse one JSON object; raises IntegrityError that names ``what``, as `load` does."""
    document = load(raw, what=what, max_bytes=max_bytes)
    if not isinstance(document, dict):
        raise _wrong(what, "not a JSON object")
    return document


def load(raw: bytes, *, what: str, max_bytes: int) -> object:
    """Parse a JSON document.

    Refused with an IntegrityError: other text than UTF-8, a key that stands
    twice, NaN, nesting deeper than 32, more than ``max_bytes``.
    """
    if len(raw) > max_bytes:
        raise _wrong(what, f"larger than the limit of {max_bytes} bytes")
    try:
        document: object = json.loads(
            raw.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except RecursionError as exc:
        raise _wrong(what, f"nested deeper than {MAX_DEPTH}") from exc
    except ValueError as exc:
        raise _wrong(what, f"not JSON: {' '.join(str(exc).split())[:200]}") from exc
    if not _is_shallow(document):
        raise _wrong(what, f"nested deeper than {MAX_DEPTH}")
    return document


def _wrong(what: str, why: str) -> IntegrityError:
    return IntegrityError(f"{what}: {why}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                msg = f"key {key[:100]!r} stands twice"
                raise ValueError(msg)
            seen.add(key)
    return found


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is no JSON value"
    raise ValueError(msg)


def _is_shallow(document: object) -> bool:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            for child in (
                parent.values()
                if isinstance(parent, dict)
                else parent
                if isinstance(parent, list)
                else ()
            )
            if isinstance(child, dict | list)
        ]
        if not level:
            return True
    return False
