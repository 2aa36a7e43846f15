"""Editing YAML that people own: replace single scalars, leave every other byte.

ruamel.yaml tells where a scalar stands; the replacement is made in the text,
so comments, order, quoting, indentation and line ends stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from rke2pack.errors import ConfigError

Path = tuple[str | int, ...]
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:/-]*\Z")
_LOOKS_TYPED = re.compile(
    r"[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?\Z|0[xob][0-9a-fA-F_]+\Z|\d{4}-\d\d?-\d\d?\Z"
)
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_DOUBLE = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_SINGLE = re.compile(r"'(?:[^'\n]|'')*'")
_REST = re.compile(r"[ \t]*(?:[\r\n,\]}]|\Z)|[ \t]+#")
_ONE_LINE = "write the value on one line, without anchors or tags"
_BARE = re.compile(r"[^\s#\[\]{},&*!|>'\"%@`][^\s#,\[\]{}]*")


def parse(text: str, *, what: str) -> CommentedMap:
    """Parse a mapping with positions; duplicate keys and tabs raise ConfigError with the line."""
    try:
        document = YAML(typ="rt").load(text)
    except MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark is not None else "?"
        msg = f"{what}: line {line}: {exc.problem or exc.context}"
        raise ConfigError(msg) from exc
    except (YAMLError, ValueError, RecursionError) as exc:
        msg = f"{what}: not YAML: {' '.join(str(exc).split())}"
        raise ConfigError(msg) from exc
    if not isinstance(document, CommentedMap):
        msg = f"{what}: expected a mapping"
        raise ConfigError(msg)
    return document


def line_of(document: CommentedMap, path: Path, *, what: str) -> int:
    """Return the 1-based line where the scalar at ``path`` stands."""
    return _position(document, path, what=what)[0] + 1


def source_text(text: str, document: CommentedMap, path: Path, *, what: str) -> str:
    """Return the scalar at ``path`` as it is written, quotes included."""
    start, end = _span(text, document, path, what=what)
    return text[start:end]


def replace(text: str, changes: Mapping[Path, str], *, what: str) -> str:
    """Return ``text`` with the one-line scalars at the given paths replaced.

    A quoted scalar keeps its quotes; a plain one is quoted where YAML would
    otherwise read the new value as something else than text.
    """
    document = parse(text, what=what)
    spans = [(*_span(text, document, path, what=what), value) for path, value in changes.items()]
    for start, end, value in sorted(spans, reverse=True):
        text = text[:start] + _written(value, text[start]) + text[end:]
    return text


def is_typed(scalar: str) -> bool:
    """Whether YAML tools read this plain scalar as a number or a boolean instead of text."""
    return bool(_LOOKS_TYPED.match(scalar)) or scalar.lower() in _WORDS


def _written(value: str, first: str) -> str:
    if first == "'":
        return "'" + value.replace("'", "''") + "'"
    if first == '"' or is_typed(value) or not _PLAIN.match(value):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return value


def _span(text: str, document: CommentedMap, path: Path, *, what: str) -> tuple[int, int]:
    line, column, value = _position(document, path, what=what)
    lines = text.splitlines(keepends=True)
    start = sum(len(each) for each in lines[:line]) + column
    form = {'"': _DOUBLE, "'": _SINGLE}.get(text[start : start + 1], _BARE)
    found = form.match(text, start)
    if found is None or not _REST.match(text, found.end()) or _is_longer(value, found[0], form):
        msg = f"{what}: line {line + 1}: {'.'.join(map(str, path))} is not a one-line scalar"
        raise ConfigError(msg, hint=_ONE_LINE)
    return start, found.end()


def _position(document: CommentedMap, path: Path, *, what: str) -> tuple[int, int, object]:
    node: Any = document
    for key in path[:-1]:
        node = node[key]
    last = path[-1]
    try:
        position = node.lc.item(last) if isinstance(node, CommentedSeq) else node.lc.value(last)
    except KeyError:
        msg = f"{what}: {'.'.join(map(str, path))} comes from a merge key"
        raise ConfigError(msg, hint=_ONE_LINE) from None
    return int(position[0]), int(position[1]), node[last]


def _is_longer(value: object, written: str, form: re.Pattern[str]) -> bool:
    """Whether a plain scalar goes on behind its first word, perhaps on the next line."""
    return form is _BARE and isinstance(value, str) and value != written
