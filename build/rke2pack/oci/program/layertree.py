"""Layer tree: where a path of an image leads, its layers looked at from the top.

Sources: OCI image-spec, layer.md#whiteouts; Linux' path_resolution(7). Only
the layers that an answer needs are read.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from rke2pack.errors import IntegrityError, ValidationError
from rke2pack.oci.program import executable, layertar
from rke2pack.oci.program.executable import Executable
from rke2pack.oci.program.layertar import Entry, Kind

MAX_LINKS = 40
MAX_CHARACTERS = 64 * 1024 * 1024
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_AUFS = ".wh..wh."


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What stands at a path; ``program`` is None for a file that is none."""

    kind: Kind
    target: str = ""
    is_executable: bool = False
    program: Executable | None = None


# The same few values for nearly every member: a listing of 100,000 files stays small.
_FOLDER = Node(kind="folder")
_OTHER = Node(kind="other")
_FILES = {flag: Node(kind="file", is_executable=flag) for flag in (False, True)}


@dataclass(slots=True, kw_only=True)
class Listing:
    """What one layer puts where; below ``hidden`` paths lower layers do not show.

    ``implied`` are folders that only the names of others tell of; ``characters``
    is the length of all names together.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    implied: set[str] = field(default_factory=set)
    characters: int = 0

    @classmethod
    def read(cls, chunks: Iterable[bytes], *, what: str, folds_case: bool = False) -> Listing:
        """Collect the members of a layer's tar; the last one of a name counts.

        ``folds_case`` is for Windows, whose names are found in any case.
        Raises IntegrityError where the tar is damaged or its names are absurdly long.
        """
        listing, programs = cls(), dict[Executable, Executable]()
        for found in layertar.entries(chunks, what=what):
            entry = found
            if folds_case:
                name, target = found.name.casefold(), found.target.casefold()
                entry = replace(found, name=name, target=target)
            listing._add(entry, programs)
            if listing.characters > MAX_CHARACTERS:
                msg = f"{what}: its names have more than {MAX_CHARACTERS} characters"
                raise IntegrityError(msg)
        listing.implied -= listing.nodes.keys()
        return listing

    def _add(self, entry: Entry, programs: dict[Executable, Executable]) -> None:
        name = entry.name
        folder, _, last = name.rpartition("/")
        self.characters += len(name) + len(entry.target)
        if last == _OPAQUE:
            self.hidden.add(folder)
        elif last.startswith(_AUFS):
            return
        elif last.startswith(_WHITEOUT):
            self.removed.add(posixpath.join(folder, last.removeprefix(_WHITEOUT)))
        elif name:
            self.nodes[name] = self._node(entry, programs)
        while folder and folder not in self.implied:
            self.implied.add(folder)
            self.characters += len(folder)
            folder = folder.rpartition("/")[0]

    def _node(self, entry: Entry, programs: dict[Executable, Executable]) -> Node:
        match entry.kind:
            case "folder":
                return _FOLDER
            case "symlink" | "hardlink":
                path = layertar.clean(entry.target)
                known = self.nodes.get(path) if entry.kind == "hardlink" else None
                return known or Node(kind=entry.kind, target=entry.target)
            case "other":
                return _OTHER
            case "file":
                is_executable = bool(entry.mode & 0o111)
                program = executable.read(entry.head)
                if program is None:
                    return _FILES[is_executable]
                program = programs.setdefault(program, program)
                return Node(kind="file", is_executable=is_executable, program=program)

    def hides(self, path: str) -> bool:
        """Whether lower layers do not show at ``path``: it, or a folder above it, was replaced."""
        if path in self.removed:
            return True
        while path:
            path = path.rpartition("/")[0]
            if path in self.hidden or path in self.removed:
                return True
            above = self.nodes.get(path)
            if above is not None and above.kind != "folder":
                return True
        return False

    def __len__(self) -> int:
        return len(self.nodes) + len(self.removed) + len(self.implied)


@dataclass(frozen=True, kw_only=True)
class Tree:
    """The root file system of an image; ``layers`` are read when first needed, the top one first.

    Names are looked for as written, so callers fold the case for Windows.
    """

    layers: Sequence[Callable[[], Listing]]

    def find(self, path: str) -> Node | None:
        """Return the file or folder that a path from the root leads to, links followed.

        None where there is nothing. Raises ValidationError for links in a circle.
        """
        todo = [part for part in reversed(path.split("/")) if part not in {"", "."}]
        done: list[str] = []
        links, node = 0, _FOLDER
        while todo:
            part = todo.pop()
            if part == "..":
                done = done[:-1]
                node = _FOLDER
                continue
            found = self._at("/".join((*done, part)))
            if found is None or (todo and found.kind in {"file", "other"}):
                return None
            if found.kind in {"symlink", "hardlink"}:
                links += 1
                if links > MAX_LINKS:
                    msg = f"/{path.strip('/')}: more than {MAX_LINKS} links"
                    raise ValidationError(msg)
                if found.kind == "hardlink" or found.target.startswith("/"):
                    done = []
                todo += [each for each in reversed(found.target.split("/"))
                         if each not in {"", "."}]  # fmt: skip
                node = _FOLDER
                continue
            done.append(part)
            node = found
        return node

    def programs(self) -> Iterator[tuple[str, Executable]]:
        """Yield path and header of every executable program that shows, but scripts."""
        seen: set[str] = set()
        above: list[Listing] = []
        for load in self.layers:
            listing = load()
            for path, node in listing.nodes.items():
                program = node.program
                if program is None or program.kind == "script" or path in seen:
                    continue
                if not any(path in upper.nodes or upper.hides(path) for upper in above):
                    seen.add(path)
                    yield path, program
            above.append(listing)

    def _at(self, path: str) -> Node | None:
        is_implied = False
        for load in self.layers:
            listing = load()
            node = listing.nodes.get(path)
            if node is not None:
                return node
            is_implied = is_implied or path in listing.implied
            if listing.hides(path):
                break
        return _FOLDER if is_implied else None
