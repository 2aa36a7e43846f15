"""Strict reading of data files: a node knows its place and says what is wrong there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rke2pack import safeyaml
from rke2pack.errors import ConfigError, ValidationError, choice


class Node:
    """A YAML node that knows its place, for messages.

    Every reader raises ConfigError, which names the place, for a wrong type.
    """

    def __init__(self, value: object, where: str) -> None:
        """Wrap ``value``, which stands at ``where``: a file, or a place in one."""
        self.value = value
        self.where = where

    @classmethod
    def read(cls, text: str, *, what: str) -> Node:
        """Parse the text of the file ``what``."""
        try:
            return cls(safeyaml.load(text, what=what), what)
        except ValidationError as exc:
            raise ConfigError(exc.message) from exc

    def _map(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            msg = f"{self.where}: expected a mapping"
            raise ConfigError(msg)
        return self.value

    def only(self, *known: str) -> None:
        """Refuse every key but ``known``."""
        unknown = [key for key in self._map() if key not in known]
        if unknown:
            msg = f"{self.where}: unknown key {unknown[0]!r}"
            raise ConfigError(msg, hint=choice(str(unknown[0])[:100], known))

    def text(self, key: str, *, default: str | None = None) -> str:
        """Return text that is not empty; ``default`` where the key is missing."""
        if default is not None and key not in self._map():
            return default
        value = self._map().get(key)
        if not isinstance(value, str) or not value:
            msg = f"{self.where}: {key} must be text"
            raise ConfigError(msg)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of text, empty where the key is missing."""
        value = self._map().get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            msg = f"{self.where}: {key} must be a list of text"
            raise ConfigError(msg)
        return tuple(value)

    def choice(self, key: str, *known: str) -> str:
        """Return one of ``known``; the last one where the key is missing."""
        value = self._map().get(key, known[-1])
        if value not in known:
            msg = f"{self.where}: {key} must be one of {', '.join(known)}"
            raise ConfigError(msg)
        return str(value)

    def mapping(self, key: str) -> Mapping[str, Any]:
        """Return a mapping as it stands there, empty where the key is missing."""
        return {name: item.value for name, item in self.fields(key)}

    def items(self, key: str) -> list[Node]:
        """Return the nodes of a list, none where the key is missing."""
        value = self._map().get(key, [])
        if not isinstance(value, list):
            msg = f"{self.where}: {key} must be a list"
            raise ConfigError(msg)
        return [Node(item, f"{self.where}: {key}[{n}]") for n, item in enumerate(value)]

    def fields(self, key: str) -> list[tuple[str, Node]]:
        """Return the nodes of a mapping by key, none where the key is missing."""
        node = Node(self._map().get(key) or {}, f"{self.where}: {key}")
        return [(name, Node(item, f"{node.where}.{name}")) for name, item in node._map().items()]
