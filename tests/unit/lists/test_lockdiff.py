from __future__ import annotations

from rke2pack.lists import lockdiff, text
from rke2pack.lists.guard import Guard
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.tree.components import Components
from tests.unit.lists.locking import digest, image, lock

A, B, C = (f"docker.io/x/{name}:1" for name in "abc")
AMD64, ARM64 = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
COMPONENTS = """\
registry: docker.io
platforms: [linux/amd64, linux/arm64]
components:
  - {name: core, charts: []}
  - {name: vsphere, charts: [], platforms: [linux/amd64]}
charts: {}
"""


def test_each_kind_of_change_is_a_line() -> None:
    old = lock(image(A), image(B, seed="old"))
    new = lock(image(B, seed="new"), image(C))
    changes = lockdiff.between(old, new)
    assert list(map(str, changes)) == [
        f"- {A}  {digest(A)}",
        f"~ {B}  {digest('old')} -> {digest('new')}",
        f"+ {C}  {digest(C)}",
    ]
    assert [change.kind for change in changes] == ["removed", "moved", "added"]
    assert changes[1].finding().check == "moved-tag"
    assert lockdiff.between(new, new) == ()
    assert [each.kind for each in lockdiff.between(None, old)] == ["added", "added"]


def test_another_entry_under_the_same_digest_is_a_change() -> None:
    (change,) = lockdiff.between(lock(image(A)), lock(image(A, size=101)))
    assert change.kind == "changed"
    assert "3 blobs, 100 bytes" in change.expected
    assert "3 blobs, 101 bytes" in change.got
    assert change.finding().check == "changed-lock"


def test_an_image_of_two_sections_is_for_the_platforms_of_both() -> None:
    sections = text.parse(
        f"# component: vsphere (linux/amd64)\n{A}\n{B}\n# component: core\n{A}\n", what="images.txt"
    )
    wanted = lockdiff.wanted(Components.parse(COMPONENTS, what="it"), sections)
    assert wanted == {Reference.parse(A): (AMD64, ARM64), Reference.parse(B): (AMD64,)}


def test_a_lock_is_compared_with_the_lists_offline() -> None:
    wanted = {Reference.parse(A): (AMD64, ARM64), Reference.parse(B): (AMD64,)}
    made = lock(image(A, "linux/amd64"), image(C))
    assert list(map(str, lockdiff.against(made, wanted, is_whole=True))) == [
        f"+ {B}  images.txt lists it",
        f"- {C}  images.txt does not list it",
        f"~ {A}  locked for linux/amd64 -> listed for linux/amd64, linux/arm64",
    ]
    kinds = [each.kind for each in lockdiff.against(made, wanted, is_whole=False)]
    assert kinds == ["added", "changed"]
    assert lockdiff.against(lock(image(A), image(B, "linux/amd64")), wanted, is_whole=True) == ()


def test_a_guard_collects_what_it_is_told_to_accept() -> None:
    guard = Guard(lock=lock(image(A)), allows_moved=True)
    guard.check(Reference.parse(A), digest("other"))
    guard.check(Reference.parse(B), digest("b"))
    guard.check(Reference.parse(f"{A}@{digest('pinned')}"), digest("pinned"))
    moved, unknown = guard.findings
    assert (moved.check, moved.subject, moved.got) == ("moved-tag", A, str(digest("other")))
    assert moved.expected == f"{digest(A)} of images.lock"
    assert (unknown.severity, unknown.expected) == ("info", f"an entry for {B}")


def test_without_a_lock_all_passes() -> None:
    guard = Guard(lock=None)
    guard.check(Reference.parse(A), digest("other"))
    assert guard.findings == ()
