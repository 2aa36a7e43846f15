"""Input that costs much where reading it is done in the wrong order."""

from __future__ import annotations

import json
import resource
import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rke2pack import console, errors, files, kube, registries, strictjson
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, ToolError
from rke2pack.helm.index import ChartIndex
from rke2pack.lists import text
from rke2pack.oci import media
from rke2pack.oci.model import Descriptor, Document, Index, Manifest
from rke2pack.oci.platform import Platform
from rke2pack.oci.resolve import MAX_DOCUMENTS, resolve
from rke2pack.release import digests
from rke2pack.tree import statement
from rke2pack.validate import steps

LINES = 10_000
DEEP = b"[" * 100_000
CHILD = Descriptor(media_type=media.OCI_INDEX, digest=Digest.of(b"x"), size=1)
AMD64 = Platform.parse("linux/amd64")


def images_txt(lines: int) -> str:
    images = (f"docker.io/rancher/image-{n}:v1.2.{n}\n" for n in range(lines))
    return "# component: core\n" + "".join(images)


def test_10_000_lines_are_read_in_memory_that_grows_with_them() -> None:
    few, many = images_txt(LINES // 10), images_txt(LINES)
    peaks = []
    for lines in (few, many):
        tracemalloc.start()
        try:
            (section,) = text.parse(lines, what="images.txt")
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert len(section.references) == LINES
    assert peaks[1] < 12 * peaks[0]
    assert peaks[1] < 20 * len(many)


def test_10_000_wrong_lines_are_all_told() -> None:
    with pytest.raises(ConfigError, match=r"^images.txt: 10000 lines are wrong$") as caught:
        text.parse("wrong line\n" * LINES, what="images.txt")
    assert len(caught.value.details) == LINES


def test_100_000_sections_are_read() -> None:
    sections = "".join(f"# component: c{n}\n" for n in range(100_000))
    assert len(text.parse(sections, what="images.txt")) == 100_000
    with pytest.raises(ConfigError, match=r"line 100001: a second section for component c99999$"):
        text.parse(f"{sections}# component: c99999\n", what="images.txt")


def test_key_that_stands_twice_is_found_among_100_000() -> None:
    pairs = ",".join(f'"{n}":0' for n in range(100_000))
    with pytest.raises(IntegrityError, match="key 'twice' stands twice"):
        strictjson.load(b'{%b,"twice":1,"twice":2}' % pairs.encode(), what="x", max_bytes=2**24)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_json_is_refused_however_deep_it_is(opening: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"^x: nested deeper than 32$"):
        strictjson.load(opening * 1_000_000, what="x", max_bytes=2**24)


def test_words_of_a_long_document_are_read_once() -> None:
    words = "a b\n" * 200_000
    first = statement.Text(file="x", start=7, raw=words).first_words()
    assert sum(word.raw == "a" for word in first) == 200_000


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("a b\n c d\n\n\te", [("a", 5), ("c", 10), ("e", 16)]),
        ("\n\n", []),
        ("a\r\nb\x0bc", [("a", 5), ("b", 8)]),
    ],
)
def test_first_words_are_those_of_lines(raw: str, words: list[tuple[str, int]]) -> None:
    found = statement.Text(file="x", start=5, raw=raw).first_words()
    assert [(word.raw, word.start) for word in found] == words


@dataclass
class Tangle:
    """Every index lists itself a thousand times, to the last level; manifests are for arm64."""

    asked: int = 0
    levels: list[int] = field(default_factory=lambda: [0])

    def document(self, descriptor: Descriptor) -> Document:
        self.asked += 1
        if descriptor.media_type == media.OCI_MANIFEST:
            config = Descriptor(media_type=media.OCI_CONFIG, digest=Digest.of(b""), size=2)
            return Manifest(raw=b"x", media_type=media.OCI_MANIFEST, config=config, layers=())
        kind = media.OCI_MANIFEST if self.asked > 1 else media.OCI_INDEX
        child = Descriptor(media_type=kind, digest=CHILD.digest, size=1)
        return Index(raw=b"x", media_type=media.OCI_INDEX, manifests=(child,) * 1000)

    def config(self, descriptor: Descriptor) -> bytes:
        assert descriptor.size == 2
        return json.dumps({"os": "linux", "architecture": "arm64"}).encode()


def test_manifests_of_other_platforms_count_too() -> None:
    source = Tangle()
    with pytest.raises(IntegrityError, match=rf"^it: more than {MAX_DOCUMENTS} manifests$"):
        resolve(source, source.document(CHILD), (AMD64,), what="it")
    assert source.asked == MAX_DOCUMENTS + 1


def test_message_is_one_line_that_no_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    raw = "a\n::error::b\x1b[2J\t\u202e\udc80\u00fc"
    error = IntegrityError(raw, hint=raw, details=(raw,))
    assert str(error) == error.message == r"a\n::error::b\x1b[2J\t\u202e\udc80" + "\u00fc"
    assert error.hint == error.details[0] == "a\n::error::b\\x1b[2J\t\\u202e\\udc80\u00fc"
    console.Console().line(raw)
    assert capsys.readouterr().err == f"{errors.shown(raw)}\n"


@pytest.mark.parametrize(("soft", "hard"), [(256, 256), (100, 300)])
def test_more_jobs_than_files_are_refused(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int
) -> None:
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    said = rf"^--jobs 64: needs 448 open files, this process may have {hard}$"
    with pytest.raises(ConfigError, match=said):
        registries._allow_files(64)
    registries._allow_files(32)
    assert limits[-1][0] >= 256


def test_files_without_a_limit_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda _: (endless, endless))
    assert files.allow_open(2**40) > 2**40


def test_deep_json_in_the_cache_is_no_entry(tmp_path: Path) -> None:
    cache = files.Cache(tmp_path)
    assert ChartIndex.from_json(DEEP) is None
    assert steps._parse(DEEP) is None
    own = tmp_path / "own.tar"
    own.write_bytes(b"x")
    cache.put(digests._key(own), DEEP)
    assert digests.Digests(cache=cache).of(own) == (1, Digest.of(b"x"))


def test_deep_json_of_a_server_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube.Cluster, "_call", lambda *_, **__: DEEP)
    with pytest.raises(ToolError, match=r"^/api: the API server answers no JSON$"):
        kube.Cluster(None).get("/api")
    assert kube._line(DEEP) == DEEP.decode()[:300]
    assert kube._line(b"[]") == "[]"
