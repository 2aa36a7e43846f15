"""JSON that two readers cannot understand differently, within ceilings.

`load` reads a document; `typed` and its like take what belongs in a place
of it and refuse all else with an IntegrityError that names the place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn, TypeVar

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError

MAX_DEPTH = 32
MAX_NUMBER: Final = 2**63 - 1
_Value = TypeVar("_Value", bound=dict[str, Any] | list[Any] | str | int)
_WORDS: Final = {dict: "JSON object", list: "list", str: "text", int: "number"}


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


def typed(value: object, kind: type[_Value], *, what: str) -> _Value:
    """Return a value that must be a dict, list, str or int; true and false are no int."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _wrong(what, "missing" if value is None else f"not a {_WORDS[kind]}")
    return value


def number(value: object, *, what: str, most: int = MAX_NUMBER) -> int:
    """Return a size or count, from 0 to ``most``."""
    found = typed(value, int, what=what)
    if not 0 <= found <= most:
        raise _wrong(what, f"{str(found)[:100]} is no size or count")
    return found


def digest(value: object, *, what: str) -> Digest:
    """Return a digest, with ``sha256:`` in front or without."""
    text = typed(value, str, what=what)
    try:
        return Digest.parse(text)
    except IntegrityError as exc:
        raise _wrong(what, exc.message) from exc


def texts(value: object, *, what: str) -> tuple[str, ...]:
    """Return a list of text."""
    return tuple(typed(each, str, what=what) for each in typed(value, list, what=what))


def objects(value: object, *, what: str) -> tuple[Mapping[str, Any], ...]:
    """Return a list of JSON objects."""
    return tuple(typed(each, dict, what=what) for each in typed(value, list, what=what))


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
