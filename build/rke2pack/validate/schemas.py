"""Kubernetes' own schemas, version by version, compiled.

The data is that of the package kubernetes-validate: the definitions of each
minor version's OpenAPI document, in the strict form (no unknown field). Its
validator takes 14 ms an object (a Deployment, on the machine where it was
measured) and jsonschema-rs, which compiles the same definitions, 0.01 ms; so
only the data is taken.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rke2pack import files
from rke2pack.errors import ConfigError, ToolError
from rke2pack.validate import rules, syntax
from rke2pack.validate.issue import Problem, short

if TYPE_CHECKING:
    from jsonschema_rs import Registry, ValidationError, Validator

LIST_KEYS = "x-kubernetes-list-map-keys"
SCHEMAS_VERSION = "1.37.0"  # of kubernetes-validate, as pinned in pyproject.toml
MAX_PROBLEMS = 20  # of one object
_FOLDER = re.compile(r"v1\.(\d+)\.0-local-strict\Z")
_MINOR = re.compile(r"v?1\.(\d+)\.\d")
_VALUE_KEYWORDS = frozenset(
    {
        *("enum", "pattern", "maxLength", "minLength", "minimum", "maximum", "format", "const"),
        *("exclusiveMinimum", "exclusiveMaximum", "multipleOf", "propertyNames"),
        *("uniqueItems", "minItems", "maxItems", "minProperties", "maxProperties"),
    }
)
_HIDDEN = "(hidden)"
_SECRET_KINDS = frozenset({"Secret"})


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """What ``apiVersion`` and ``kind`` name; ``group`` is empty for the core group."""

    group: str
    version: str
    kind: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Kind:
        """Read both fields of an object; what is missing stays empty."""
        group, slash, version = str(body.get("apiVersion") or "").rpartition("/")
        return cls(group if slash else "", version, str(body.get("kind") or ""))

    @property
    def api_version(self) -> str:
        """``apiVersion`` as it stands in an object."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.api_version} {self.kind}"


class KubeSchemas:
    """The schemas of one minor version of Kubernetes; safe for threads."""

    def __init__(self, minor: int) -> None:
        """Read the definitions of Kubernetes 1.``minor``; raises ConfigError for an unknown one."""
        import jsonschema_rs  # noqa: PLC0415 - 15 MB

        folders = _folders()
        if minor not in folders:
            msg = f"Kubernetes 1.{minor}: there are no schemas for it"
            hint = f"choose a version from 1.{min(folders)} to 1.{max(folders)}"
            raise ConfigError(msg, hint=f"{hint}, or update the package kubernetes-validate")
        document = json.loads(files.read_text(folders[minor] / "_definitions.json"))
        definitions: dict[str, Any] = document["$defs"]
        rules.sharpen(definitions)
        self.minor = minor
        self._base: str = document["$id"]
        self._draft: str = document["$schema"]
        self._names = {
            Kind(item.get("group", ""), item["version"], item["kind"]): name
            for name, schema in definitions.items()
            for item in schema.get("x-kubernetes-group-version-kind", ())
        }
        self.groups = frozenset(kind.group for kind in self._names)
        self._registry = jsonschema_rs.Registry([(self._base, document)])
        self._validators: dict[tuple[str, bool], Validator] = {}

    @classmethod
    def of(cls, kube_version: str) -> KubeSchemas:
        """Return the schemas for ``v1.32.4``, read once; raises ConfigError."""
        return _of(minor_of(kube_version))

    def knows(self, kind: Kind) -> bool:
        """Whether this version of Kubernetes has the kind."""
        return kind in self._names

    def is_builtin(self, group: str) -> bool:
        """Whether a group is Kubernetes' own, in this version or by its reserved name."""
        return group in self.groups or "." not in group or group in _past_groups()

    def problems(self, kind: Kind, body: Mapping[str, Any], subject: str) -> Iterator[Problem]:
        """Yield what the schema of a known kind says of an object."""
        is_secret = kind.kind in _SECRET_KINDS
        validator = self._validator(self._names[kind], is_secret=is_secret)
        yield from violations(validator, body, subject)

    def _validator(self, name: str, *, is_secret: bool) -> Validator:
        key = (name, is_secret)
        if key not in self._validators:
            schema = {"$schema": self._draft, "$ref": f"{self._base}#/$defs/{name}"}
            self._validators[key] = compiled(schema, registry=self._registry, is_secret=is_secret)
        return self._validators[key]


def minor_of(kube_version: str) -> int:
    """Return 32 for ``v1.32.4``; raises ConfigError."""
    found = _MINOR.match(kube_version)
    if found is None:
        msg = f"not a Kubernetes version: {kube_version!r}"
        raise ConfigError(msg, hint="write it as v1.32.4")
    return int(found[1])


@functools.cache
def minors_with(kind: Kind) -> tuple[int, ...]:
    """Return the minor versions, of those with schemas, that have a built-in kind."""
    group = kind.group.partition(".")[0]
    prefix = f"{group}-{kind.version}" if group else kind.version
    name = f"{kind.kind}-{prefix}.json".lower()
    if "/" in name:
        return ()
    return tuple(minor for minor, folder in _folders().items() if (folder / name).is_file())


def compiled(
    schema: dict[str, Any],
    *,
    registry: Registry | None = None,
    is_secret: bool = False,
) -> Validator:
    """Compile a schema; nothing is fetched, patterns run in linear time.

    ``is_secret`` keeps the values of objects out of messages. Raises ValueError
    for what is no schema.
    """
    import jsonschema_rs  # noqa: PLC0415

    return jsonschema_rs.validator_for(
        schema,
        registry=registry,
        offline=True,
        validate_formats=True,
        formats={"byte": _is_base64, "date-time": _is_time},
        pattern_options=jsonschema_rs.RegexOptions(size_limit=10_000_000),
        mask=_HIDDEN if is_secret else None,
        keywords={} if registry is not None else {LIST_KEYS: _ListKeys},
    )


class _ListKeys:
    """The keyword of a list whose items differ in some fields, as the API server reads it."""

    def __init__(self, _parent: object, value: object, _path: object) -> None:
        """Take the names of the fields."""
        self._keys = tuple(map(str, value)) if isinstance(value, list) else ()

    def validate(self, instance: object) -> None:
        """Raise ValueError for two items with the same fields."""
        items = instance if isinstance(instance, list) else []
        seen = set()
        for item in items:
            own = item if isinstance(item, dict) else {}
            key = tuple(repr(own.get(name)) for name in self._keys)
            if self._keys and key in seen:
                msg = f"two items with the same {', '.join(self._keys)}: {', '.join(key)}"
                raise ValueError(msg)
            seen.add(key)


def violations(
    validator: Validator, body: Mapping[str, Any], subject: str, *, check: str = ""
) -> Iterator[Problem]:
    """Yield at most MAX_PROBLEMS problems; ``check`` is their word instead of schema and value."""
    for error in islice(validator.iter_errors(body), MAX_PROBLEMS):
        keyword = error.kind.name
        path = field_path(error.instance_path)
        yield Problem(
            check=check or ("value" if keyword in _VALUE_KEYWORDS else "schema"),
            subject=subject,
            expected=_expected(error),
            got=short(f"{path}: {error.message}" if path else error.message),
        )


def field_path(steps: list[str | int]) -> str:
    """Write a path as ``spec.ports[0].name``."""
    path = ""
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif re.fullmatch(r"[\w-]+", step):
            path += f".{step}"
        else:
            path += f'."{step[:80]}"'
    return path.lstrip(".")


def _expected(error: ValidationError) -> str:
    keyword = error.kind.name
    value = error.kind.value
    if keyword == "pattern":
        return syntax.TITLES.get(str(value), f"text that matches {short(value)}")
    if keyword == "enum" and isinstance(value, list):
        told = [json.dumps(each) for each in value if each is not None and each != ""]
        return short(f"one of {', '.join(told)}")
    if keyword == "additionalProperties":
        return "fields that the schema has"
    if keyword == "required":
        return "every required field"
    return "a value that the schema allows"


def _is_base64(text: str) -> bool:
    packed = "".join(text.split())
    return len(packed) % 4 == 0 and re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", packed) is not None


def _is_time(text: str) -> bool:
    return (
        re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text)
        is not None
    )


@functools.cache
def _of(minor: int) -> KubeSchemas:
    return KubeSchemas(minor)


@functools.cache
def _folders() -> Mapping[int, Path]:
    """Return the folder of each minor version; the package itself is not imported."""
    found = importlib.util.find_spec("kubernetes_validate")
    if found is None or found.origin is None:
        msg = "kubernetes-validate: the package is not installed"
        raise ToolError(msg, hint="install rke2pack with its dependencies")
    root = Path(found.origin).parent / "kubernetes-json-schema"
    numbered = ((_FOLDER.match(path.name), path) for path in root.iterdir())
    return dict(sorted((int(match[1]), path) for match, path in numbered if match))


@functools.cache
def _past_groups() -> frozenset[str]:
    from rke2pack.validate.apis import GONE  # noqa: PLC0415 - it needs Kind

    return frozenset(each.kind.group for each in GONE)
