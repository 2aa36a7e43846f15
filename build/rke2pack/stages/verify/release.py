"""The files around archives: checksum lists and lists of images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rke2pack import files, wording
from rke2pack.errors import PackError
from rke2pack.finding import Finding, Result, Status
from rke2pack.oci.hashing import digest_of
from rke2pack.oci.intake.releasefolder import ARCHIVE
from rke2pack.oci.reference import Reference
from rke2pack.oci.verify.checks import Verified
from rke2pack.release.sums import Sums

_WINDOWS = re.compile(r"rke2-windows-[0-9a-z]+-(?P<arch>[0-9a-z]+)-images\Z")


def check_sums(verified: Verified, sums: Sums) -> Iterator[Result]:
    """Compare an archive's files with the lists beside it."""
    for each in verified.scan.sums:
        name = each.path.name
        if name in sums.known:
            listed, expected = sums.known[name]
            is_same = each.digest == expected
            detail = f"as in {listed}" if is_same else f"is {each.digest}, {listed} has {expected}"
            yield _result(name, "checksum", detail, is_wrong=not is_same)
        else:
            detail = "no sha256sum-*.txt beside it has it"
            yield Result(subject=name, check="checksum", status="skipped", detail=detail)


def unlisted(verified: Verified, sums: Sums) -> Iterator[Finding]:
    """Yield the files of an archive that are in none of the lists that there are."""
    for each in verified.scan.sums:
        if sums.lists and each.path.name not in sums.known:
            yield Finding(
                severity="warning",
                check="not-listed",
                subject=each.path.name,
                expected=f"a line in {' or '.join(sums.lists)}",
                got="none",
            )


def check_others(sums: Sums, seen: Iterable[str]) -> Iterator[Result]:
    """Check what the lists of a release folder name besides its archives."""
    yield from sums.wrong
    for name in sorted(sums.known.keys() - set(seen)):
        listed, expected = sums.known[name]
        path = sums.folder / name
        if not path.is_file():
            yield _result(name, "checksum", f"{listed} names it, it is not there")
            continue
        with files.reported("read", path):
            got = digest_of(path)
        detail = f"as in {listed}" if got == expected else f"is {got}, {listed} has {expected}"
        yield _result(name, "checksum", detail, is_wrong=got != expected)


def check_list(verified: Verified) -> Result:
    """Compare the names in an archive with the list of the same name beside it."""
    path, what = verified.scan.file.path, verified.scan.what
    beside = path.with_name(_list_name(path.name))
    if not beside.is_file():
        return Result(subject=what, check="list", status="skipped", detail="no list beside it")
    try:
        lines = files.read_text(beside).splitlines()
        listed = {str(Reference.parse(line)) for line in lines if line.strip()}
    except PackError as exc:
        return _result(what, "list", exc.message)
    names = {str(image.reference or image.name) for image in verified.images}
    wrong = [f"{name} is not in the archive" for name in sorted(listed - names)]
    wrong += [f"{name} is not in the list" for name in sorted(names - listed)]
    if wrong:
        return _result(what, "list", f"{beside.name}: {'; '.join(wrong)}")
    known = wording.count(len(names), "name")
    return _result(what, "list", f"the {known} of {beside.name}", is_wrong=False)


def _list_name(archive: str) -> str:
    """Return the name of an archive's list; those of Windows have one in common."""
    match = ARCHIVE.match(archive)
    stem = match["stem"] if match else archive
    return _WINDOWS.sub(r"rke2-images.windows-\g<arch>", stem) + ".txt"


def _result(subject: str, check: str, detail: str, *, is_wrong: bool = True) -> Result:
    status: Status = "failed" if is_wrong else "passed"
    return Result(subject=subject, check=check, status=status, detail=detail)
