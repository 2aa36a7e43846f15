"""Gather: the records of all shards, from folders, held against each other and the plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rke2pack import files, wording
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, NotFoundError, ReleaseError
from rke2pack.oci.pack import outfile
from rke2pack.shards import record as records
from rke2pack.shards.archives import Target
from rke2pack.shards.plan import Plan
from rke2pack.shards.record import Made, Packed, Record
from rke2pack.shards.shard import Shard

_PATTERN = "shard-*-of-*.json"
_AGAIN = "run that shard again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A record and the folder that it was in, with the shard's files beside it."""

    folder: Path
    record: Record


def places(folders: Iterable[Path]) -> tuple[Path, ...]:
    """Return the folders in which records are looked for."""
    every = (place for folder in folders for place in (folder, *folder.glob("*/")))
    return tuple(dict.fromkeys(every))


def find(folders: Iterable[Path]) -> tuple[Found, ...]:
    """Read the records in folders, or in folders of theirs; raises ConfigError, IntegrityError."""
    paths: dict[Path, None] = {}
    for folder in folders:
        if not folder.is_dir():
            msg = f"{folder}: no such folder"
            raise ConfigError(msg, hint="name the folders that the shards have written to")
        with files.reported("read", folder):
            own = [*sorted(folder.glob(_PATTERN)), *sorted(folder.glob(f"*/{_PATTERN}"))]
        paths |= {path.parent.resolve() / path.name: None for path in own}
    if not paths:
        msg = "merge: no record of a shard in these folders"
        raise NotFoundError(msg, hint="name folders that 'rke2pack airgap --shard I/N' wrote to")
    return tuple(Found(folder=path.parent, record=records.read(path)) for path in paths)


def agree(found: tuple[Found, ...]) -> None:
    """Raise unless all shards were made by one plan and one recipe, each once."""
    first = found[0]
    for each in found[1:]:
        record = each.record
        if (record.plan, record.shard.count) != (first.record.plan, first.record.shard.count):
            msg = f"{_name(each)} and {_name(first)} are of different plans"
            raise IntegrityError(msg, hint="merge the shards of one run of the release")
        if record.recipe != first.record.recipe:
            msg = f"{_name(each)} and {_name(first)} were made with other options or libraries"
            raise IntegrityError(msg, hint=f"make all with {first.record.recipe.options()}")
    shards: dict[Shard, Found] = {}
    for each in found:
        twice = shards.setdefault(each.record.shard, each)
        if twice is not each:
            msg = f"shard {each.record.shard} is there twice: {twice.folder} and {each.folder}"
            raise ConfigError(msg, hint="leave out the folder of the run that was given up")


def complete(found: tuple[Found, ...], plan: Plan, *, options: str) -> None:
    """Raise ReleaseError that names the shards that are lost, and how to run each again."""
    there = {each.record.shard for each in found}
    lost = [shard for shard, _ in plan.shards() if shard not in there]
    if not lost:
        return
    recipe = found[0].record.recipe.options()
    lines = []
    for shard in lost:
        same = f"--shard {shard} --plan {plan.digest}{options}"
        lines.append(f"{shard}: rke2pack pull {same} && rke2pack airgap {same} {recipe}")
    names = ", ".join(map(str, lost))
    share = f"{len(lost)} of {wording.count(len(plan.shards()), 'shard')}"
    msg = f"merge: {share} {wording.are(len(lost))} missing: {names}"
    raise ReleaseError(msg, hint="run them again, then merge again", details=tuple(lines))


def fits(each: Found, targets: Iterable[Target], names: frozenset[str]) -> None:
    """Raise IntegrityError unless a shard has made the archives and lists of its share alone."""
    record = each.record
    own = [target for target in targets if target.name in names]
    wanted = {(target.name, form) for target in own for form in record.recipe.formats}
    made = {(packed.archive, packed.form) for packed in record.archives}
    if wanted != made or len(made) != len(record.archives):
        odd = min(wanted ^ made or made)
        state = "is missing" if odd in wanted - made else "is not its own"
        msg = f"{_name(each)}: {odd[0]}.tar.{odd[1]} {state}"
        raise IntegrityError(msg, hint=_AGAIN)
    for packed in record.archives:
        _check_files(each, packed)
    lists = {made.name: made for made in record.lists}
    texts = {f"{target.name}.txt": target.list_bytes for target in own if target.has_list}
    if lists.keys() != texts.keys() or len(lists) != len(record.lists):
        odd_list = min((lists.keys() ^ texts.keys()) or lists.keys())
        msg = f"{_name(each)}: {odd_list} is not as it should be"
        raise IntegrityError(msg, hint=_AGAIN)
    for name, data in texts.items():
        _check_list(each, lists[name], data)


def _check_files(each: Found, packed: Packed) -> None:
    """Raise unless an archive is one file, or parts without a gap."""
    whole = Path(f"{packed.archive}.tar.{packed.form}")
    count = len(packed.files)
    parts = [str(outfile.part(whole, number + 1)) for number in range(count)]
    if [made.name for made in packed.files] not in ([str(whole)], parts):
        msg = f"{_name(each)}: the files of {whole} are called otherwise"
        raise IntegrityError(msg, hint=_AGAIN)


def _check_list(each: Found, made: Made, data: bytes) -> None:
    if (made.size, made.digest) != (len(data), Digest.of(data)):
        msg = f"{_name(each)}: {made.name} does not list what the tree lists"
        raise IntegrityError(msg, hint=_AGAIN)


def left_out(found: Iterable[Found]) -> Iterator[Path]:
    """Yield the files beside records that no shard tells of."""
    folders: dict[Path, set[str]] = {}
    for each in found:
        own = folders.setdefault(each.folder, set())
        own |= {made.name for made in each.record.files}
        own.add(records.path(each.folder, each.record.shard).name)
    for folder, known in folders.items():
        with files.reported("read", folder):
            names = sorted(path for path in folder.iterdir() if not path.is_dir())
        yield from (p for p in names if p.name not in known and not p.name.startswith("sha256sum-"))


def _name(each: Found) -> str:
    return f"shard {each.record.shard} in {each.folder}"
