"""Reading YAML that other people wrote, within limits.

PyYAML's C loader, with what it lacks against hostile input: a size ceiling, a
nesting ceiling (libyaml's composer recurses in C and would crash the process)
and a ceiling on what aliases and merge keys expand to ("billion laughs").
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

_DENSE_BLOCK = re.compile(rf"(?:[-?:] +){{{MAX_DEPTH // 2}}}")
_UNUSED_TAGS = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}
_MERGE_TAG = "tag:yaml.org,2002:merge"
# What PyYAML's constructors raise where a tag does not fit its scalar (`!!bool maybe`).
_MISFIT = (ValueError, LookupError, AttributeError, TypeError, RecursionError)
_ALIAS = re.compile(r"(?:^|[\s\[{,:-])\*[^\s,\]}]")


class _Loader(yaml.CSafeLoader):
    """YAML 1.1 as Helm reads it, except that dates stay text."""

    merged = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Resolve ``<<`` as PyYAML does, but each key once: its own lists grow exponentially."""
        found, node.value = node.value, [pair for pair in node.value if pair[0].tag != _MERGE_TAG]
        pairs: dict[object, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in found:
            if key.tag != _MERGE_TAG:
                continue
            sources = reversed(value.value) if isinstance(value, yaml.SequenceNode) else (value,)
            for source in sources:
                self._merge(source, pairs)
        node.value = [*pairs.values(), *node.value]

    def _merge(self, source: yaml.Node, pairs: dict[object, tuple[yaml.Node, yaml.Node]]) -> None:
        problem = ""
        if isinstance(source, yaml.MappingNode):
            self.flatten_mapping(source)
            self.merged += len(source.value)
            if self.merged <= MAX_NODES:
                pairs.update((_key_of(key), (key, value)) for key, value in source.value)
                return
            problem = f"merge keys expand to more than {MAX_NODES} values"
        msg = problem or "expected a mapping or list of mappings for merging"
        raise yaml.constructor.ConstructorError(None, None, msg, source.start_mark)


class _TextLoader(yaml.CBaseLoader):
    """Every scalar stays the text that stands in the file."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if tag not in _UNUSED_TAGS]
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
    except (yaml.YAMLError, *_MISFIT) as exc:
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
    """Raise where aliases make the document endless, too deep or larger than MAX_NODES."""
    sizes: dict[int, tuple[int, int]] = {}
    open_nodes: set[int] = set()

    def measure(node: object) -> tuple[int, int]:
        if not isinstance(node, dict | list | tuple):
            return 1, 0
        key = id(node)
        if key in sizes:
            return sizes[key]
        if key in open_nodes:
            msg = f"{what}: a YAML alias refers to itself"
            raise ValidationError(msg)
        open_nodes.add(key)
        children = node.values() if isinstance(node, dict) else node
        measured = [measure(child) for child in children]
        total = 1 + sum(count for count, _ in measured)
        height = 1 + max((height for _, height in measured), default=0)
        open_nodes.discard(key)
        if height > MAX_DEPTH:
            msg = f"{what}: YAML is nested deeper than {MAX_DEPTH} levels"
            raise ValidationError(msg)
        if total > MAX_NODES:
            msg = f"{what}: YAML aliases expand to more than {MAX_NODES} values"
            raise ValidationError(msg)
        sizes[key] = (total, height)
        return total, height

    measure(document)


def _key_of(node: yaml.Node) -> object:
    """Return what makes two scalar keys the same; any other key stands for itself."""
    return (node.tag, node.value) if isinstance(node, yaml.ScalarNode) else id(node)


def _one_line(exc: Exception) -> str:
    if isinstance(exc, yaml.MarkedYAMLError) and exc.problem_mark is not None:
        mark = exc.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {exc.problem or exc.context}"
    return " ".join(str(exc).split())[:200]
