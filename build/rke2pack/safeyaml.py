"""Reading YAML that other people wrote, within limits.

PyYAML's C loader, with what it lacks against hostile input: a size ceiling, a
nesting ceiling (libyaml's composer recurses in C and would crash the process)
and a ceiling on what aliases expand to ("billion laughs"). Dates stay text.
Files that people own are edited in ``tree``; this module only reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from rke2pack.errors import ValidationError

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 200
MAX_NODES = 5_000_000

_DENSE_BLOCK = re.compile(rf"(?:[-?] ){{{MAX_DEPTH // 2}}}")
_ALIAS = re.compile(r"(?:^|[\s\[{,:-])\*[^\s,\]}]")


class _Loader(yaml.CSafeLoader):
    """YAML 1.1 as Helm reads it, except that dates stay text."""


class _TextLoader(yaml.CBaseLoader):
    """Every scalar stays the text that stands in the file."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def load(text: str, *, what: str, scalars: bool = True) -> Any:  # noqa: ANN401 - YAML holds anything
    """Parse one document; ``scalars=False`` keeps every scalar as text.

    Raises ValidationError, which names ``what`` and the line.
    """
    documents = list(load_all(text, what=what, scalars=scalars))
    if len(documents) > 1:
        msg = f"{what}: holds {len(documents)} YAML documents, expected one"
        raise ValidationError(msg)
    return documents[0] if documents else None


def load_all(text: str, *, what: str, scalars: bool = True) -> Iterator[Any]:
    """Parse every document of ``text``; raises ValidationError like `load`."""
    _check_size(text, what=what)
    _check_depth(text, what=what)
    aliased = bool(_ALIAS.search(text))
    try:
        for document in yaml.load_all(text, Loader=_Loader if scalars else _TextLoader):
            if aliased:
                _check_expansion(document, what=what)
            yield document
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        msg = f"{what}: not YAML: {_one_line(exc)}"
        raise ValidationError(msg) from exc


def _check_size(text: str, *, what: str) -> None:
    if len(text) > MAX_BYTES:
        msg = f"{what}: {len(text)} characters of YAML, the limit is {MAX_BYTES}"
        raise ValidationError(msg)


def _check_depth(text: str, *, what: str) -> None:
    """Count nesting by parser events, but only where the text could be deep at all."""
    longest_indent = MAX_DEPTH // 2
    suspicious = (
        text.count("[") + text.count("{") > MAX_DEPTH
        or " " * longest_indent in text
        or _DENSE_BLOCK.search(text)
    )
    if not suspicious:
        return
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    msg = f"{what}: YAML is nested deeper than {MAX_DEPTH} levels"
                    raise ValidationError(msg)
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.YAMLError as exc:
        msg = f"{what}: not YAML: {_one_line(exc)}"
        raise ValidationError(msg) from exc


def _check_expansion(document: object, *, what: str) -> None:
    """Raise where aliases make the document endless or larger than MAX_NODES."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: object) -> int:
        if not isinstance(node, dict | list):
            return 1
        key = id(node)
        if key in sizes:
            return sizes[key]
        if key in open_nodes:
            msg = f"{what}: a YAML alias refers to itself"
            raise ValidationError(msg)
        open_nodes.add(key)
        children = node.values() if isinstance(node, dict) else node
        total = 1 + sum(size(child) for child in children)
        open_nodes.discard(key)
        if total > MAX_NODES:
            msg = f"{what}: YAML aliases expand to more than {MAX_NODES} values"
            raise ValidationError(msg)
        sizes[key] = total
        return total

    size(document)


def _one_line(exc: Exception) -> str:
    if isinstance(exc, yaml.MarkedYAMLError) and exc.problem_mark is not None:
        mark = exc.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {exc.problem or exc.context}"
    return " ".join(str(exc).split())[:200]
