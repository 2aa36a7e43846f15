"""Program: what an image starts, and whether its platform can run it.

Sources: OCI image-spec, config.md (Entrypoint, Cmd, Env, WorkingDir); runc and
execve(2) for how the path of a program is found and scripts are started.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rke2pack import strictjson, wording
from rke2pack.errors import ValidationError, in_line
from rke2pack.finding import Status
from rke2pack.oci import model
from rke2pack.oci.platform import Platform
from rke2pack.oci.program.layertar import clean
from rke2pack.oci.program.layertree import Node, Tree
from rke2pack.oci.resolve import MAX_CONFIG_BYTES

Check = Literal["entrypoint", "program"]
MAX_INTERPRETERS = 4
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WINDOWS_PATH = r"C:\Windows\System32;C:\Windows"
_WINDOWS_ROOT = "files"
_WINDOWS_ENDINGS = ("", ".exe", ".com", ".bat", ".cmd")
_WINDOWS_SCRIPTS = (".bat", ".cmd")
_DRIVE = 2
_SHOWN = 3
_LONGEST_DETAIL = 500
# PATH_MAX, and MAX_ARG_STRLEN with 4 KiB pages.
_LONGEST_PATH, _LONGEST_SEARCH = 4096, 131_072


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The parts of an image's config that say what starts, and where."""

    platform: Platform
    words: tuple[str, ...]
    folder: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: bytes, *, what: str) -> Config:
        """Read a config; raises IntegrityError that names ``what``."""
        found = strictjson.load_object(raw, what=what, max_bytes=MAX_CONFIG_BYTES)
        inner = strictjson.typed(found.get("config") or {}, dict, what=f"{what}: config")
        pairs = (each.partition("=") for each in _texts(inner, "Env", what))
        return cls(
            platform=model.named_platform(found, what=what),
            words=_texts(inner, "Entrypoint", what) or _texts(inner, "Cmd", what),
            folder=strictjson.typed(inner.get("WorkingDir") or "", str, what=f"{what}: WorkingDir"),
            environment={name: value for name, _, value in pairs},
        )

    @property
    def search(self) -> str:
        """PATH in whatever case, as Windows has it too; empty where there is none."""
        names = {name.upper(): value for name, value in self.environment.items()}
        return self.environment.get("PATH") or names.get("PATH", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether an image's program fits its platform; ``check`` is the rule that decided."""

    check: Check
    status: Status
    detail: str


def judge(config: Config, tree: Tree, platform: Platform) -> Verdict:
    """Find the program that an image starts and compare its header with ``platform``.

    Raises IntegrityError for a damaged layer.
    """
    if not config.words or not config.words[0]:
        return _without_entrypoint(tree, platform)
    if max(map(len, config.words[:1])) > _LONGEST_PATH or len(config.search) > _LONGEST_SEARCH:
        return _verdict("entrypoint", "failed", "a path or PATH that is longer than Linux takes")
    finder = _Windows if platform.os == "windows" else _Linux
    try:
        return _chain(finder(config=config, tree=tree), config.words[0], platform)
    except ValidationError as exc:
        return _verdict("entrypoint", "failed", exc.message)


def _chain(finder: _Linux | _Windows, word: str, platform: Platform) -> Verdict:
    """Follow scripts from a program to what runs them."""
    path, node = finder.start(word)
    told = path
    for _ in range(MAX_INTERPRETERS + 1):
        program = node.program
        if program is None:
            return _unreadable(told, path)
        if program.kind != "script":
            fits = program.is_for(platform)
            detail = f"{told}: {program}" + ("" if fits else f", not for {platform}")
            return _verdict("program", "passed" if fits else "failed", detail)
        path, node = finder.file(program.interpreter)
        told = f"{told} -> {path}"
    msg = f"{told}: more than {MAX_INTERPRETERS} interpreters"
    raise ValidationError(msg)


def _unreadable(told: str, path: str) -> Verdict:
    if path.casefold().endswith(_WINDOWS_SCRIPTS):
        return _verdict("program", "manual", f"{told}: a script of cmd.exe")
    return _verdict("program", "failed", f"{told}: neither ELF, PE nor a script")


def _verdict(check: Check, status: Status, detail: str) -> Verdict:
    return Verdict(check=check, status=status, detail=in_line(detail[:_LONGEST_DETAIL]))


def _without_entrypoint(tree: Tree, platform: Platform) -> Verdict:
    """Look at every program of an image that starts none, as files that a node takes out."""
    count, wrong = 0, []
    for path, program in tree.programs():
        count += 1
        if not program.is_for(platform):
            wrong.append(f"/{path} ({program})")
    said = "neither Entrypoint nor Cmd"
    if not count:
        return _verdict("entrypoint", "manual", f"{said}, and no program")
    if not wrong:
        detail = f"{said}; its {wording.count(count, 'program is', 'programs are')} for {platform}"
        return _verdict("entrypoint", "manual", detail)
    shown = ", ".join(wrong[:_SHOWN])
    found = f"{len(wrong)} of {wording.count(count, 'program')} {wording.are(len(wrong))}"
    detail = f"{said}; {found} not for {platform}: {shown}"
    status: Status = "failed" if len(wrong) == count else "manual"
    return _verdict("entrypoint", status, detail)


@dataclass(frozen=True, kw_only=True)
class _Linux:
    """Finds programs as execve and a PATH do."""

    config: Config
    tree: Tree

    def start(self, word: str) -> tuple[str, Node]:
        """Return path and node of the program of a command line; raises ValidationError."""
        if "/" in word:
            return self.file(word)
        for path in self._candidates(word):
            node = self.tree.find(path)
            if node is not None and node.kind == "file" and node.is_executable:
                return path, node
        msg = f"{word}: in no folder of PATH"
        raise ValidationError(msg)

    def file(self, word: str) -> tuple[str, Node]:
        """Return path and node of a program that is named by its path."""
        path = posixpath.normpath(word if word.startswith("/") else f"{self._folder}/{word}")
        # normpath would go up from a link's name; only the tree knows where the link leads.
        node = self.tree.find(word if word.startswith("/") else f"{self._folder}/{word}")
        if node is None or node.kind != "file":
            msg = f"{path}: {'no such file' if node is None else 'not a file'}"
            raise ValidationError(msg)
        if not node.is_executable:
            msg = f"{path}: not executable"
            raise ValidationError(msg)
        return path, node

    @property
    def _folder(self) -> str:
        return f"/{self.config.folder.strip('/')}"

    def _candidates(self, word: str) -> Iterator[str]:
        for folder in (self.config.environment.get("PATH") or _PATH).split(":"):
            start = folder if folder.startswith("/") else f"{self._folder}/{folder}"
            yield posixpath.join(start, word)


@dataclass(frozen=True, kw_only=True)
class _Windows:
    """Finds programs as Windows does: below ``Files`` of the layers, in any case."""

    config: Config
    tree: Tree

    def start(self, word: str) -> tuple[str, Node]:
        """Return path and node of the program of a command line; raises ValidationError."""
        name = _program_of(word)
        if "/" in name or name[1:_DRIVE] == ":":
            return self.file(name)
        path = self.config.search or _WINDOWS_PATH
        searched = (self.config.folder or "/", *path.split(";"))
        for folder in searched:
            found = self._program(f"{folder}/{name}")
            if found is not None:
                return found
        msg = f"{name}: in no folder of PATH"
        raise ValidationError(msg)

    def file(self, word: str) -> tuple[str, Node]:
        """Return path and node of a program that is named by its path."""
        is_whole = word[1:_DRIVE] == ":" or word.startswith(("/", "\\"))
        found = self._program(word if is_whole else f"{self.config.folder}/{word}")
        if found is None:
            msg = f"{word}: no such file"
            raise ValidationError(msg)
        return found

    def _program(self, path: str) -> tuple[str, Node] | None:
        path = path.replace("\\", "/")
        below = clean(path[_DRIVE:] if path[1:_DRIVE] == ":" else path).casefold()
        for ending in _WINDOWS_ENDINGS:
            node = self.tree.find(f"{_WINDOWS_ROOT}/{below}{ending}")
            if node is not None and node.kind == "file":
                return f"/{below}{ending}", node
        return None


def _program_of(word: str) -> str:
    """Return the program of a command that may be a whole line (ArgsEscaped)."""
    if word.startswith('"'):
        return word[1:].partition('"')[0].replace("\\", "/")
    return word.replace("\\", "/")


def _texts(found: Mapping[str, Any], key: str, what: str) -> tuple[str, ...]:
    return strictjson.texts(found.get(key) or [], what=f"{what}: {key}")
