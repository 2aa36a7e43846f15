"""Plain values (the types that JSON has) and the paths that lead to them.

A path is written with dots, list positions in brackets: ``spec.ports[0].name``,
``spec.containers[kube-vip].image`` where items are told apart by their name. A
key that is empty or holds anything but letters, digits, ``_``, ``-`` and ``/``
stands in double quotes, as JSON writes it: ``nodeSelector."kubernetes.io/os"``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"

SHOWN_CHARACTERS = 160
_BARE_KEY = re.compile(r"[\w/-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Item:
    """A step of a path into a list: a position, or the value of the items' ``name``."""

    key: int | str


Path: TypeAlias = tuple[str | Item, ...]


def plain(value: object) -> Plain:
    """Return what YAML holds as JSON holds it: keys become text, as Helm makes them."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if value - value == 0 else str(value)
        case Mapping():
            return {_key(key): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case _:
            return str(value)


def plain_mapping(value: object) -> dict[str, Plain]:
    """Return ``value`` as plain values all the way down, empty where it is no mapping."""
    return mapping(plain(value))


def mapping(value: Plain) -> dict[str, Plain]:
    """Return ``value`` itself, an empty mapping where it is none."""
    return value if isinstance(value, dict) else {}


def mappings(value: Plain) -> tuple[dict[str, Plain], ...]:
    """Return the mappings of a list, none where ``value`` is no list."""
    items = value if isinstance(value, list) else []
    return tuple(item for item in items if isinstance(item, dict))


def texts(value: Plain) -> tuple[str, ...]:
    """Return the items of a list as text, none where ``value`` is no list."""
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def canonical(value: Plain) -> str:
    """Return one text for equal values; ``1``, ``1.0``, ``"1"`` and ``true`` are unequal."""
    return json.dumps(value, sort_keys=True)


def is_same(left: Plain, right: Plain) -> bool:
    """Whether two values are equal in content and in type."""
    if isinstance(left, dict | list) or isinstance(right, dict | list):
        return type(left) is type(right) and canonical(left) == canonical(right)
    return type(left) is type(right) and left == right


def shown(value: Plain) -> str:
    """Return a value on one line for people, cut where it is long."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


def dotted(path: Path) -> str:
    """Write a path as the module describes."""
    text = ""
    for step in path:
        if isinstance(step, Item):
            text += f"[{step.key}]"
        else:
            text += f"{'.' if text else ''}{_quoted(step)}"
    return text


def leaves(value: Plain, path: Path = ()) -> Iterator[tuple[Path, Plain]]:
    """Yield every value below ``value`` that is no mapping; an empty mapping is one too."""
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from leaves(value[key], (*path, key))
    else:
        yield path, value


def _key(key: object) -> str:
    match key:
        case str():
            return key
        case None | bool() | int() | float():
            return json.dumps(key)
        case _:
            return str(key)


def _quoted(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)
