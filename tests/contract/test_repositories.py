"""`HttpRepository` and `FolderRepository`: caches, credentials, addresses, digests."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rke2pack.errors import (
    AuthError,
    ConfigError,
    IntegrityError,
    PackError,
    RegistryError,
    ValidationError,
)
from tests.contract.simulator import (
    Simulator,
    cut_chunks,
    gzip_bomb,
    redirect,
    serving,
    status,
    truncated,
    wrong_bytes,
)
from tests.contract.workbench import CHART, Open, chart, chart_archive

ARCHIVE = f"/assets/{CHART}-0.2.1100.tgz"
PROGRAM = """
import sys
from pathlib import Path
from rke2pack.files import Cache
from rke2pack.helm.repository import Access, open_repository
from rke2pack.http import Fetcher, new_session
access = Access(fetcher=lambda: Fetcher(new_session()), cache=Cache(Path(sys.argv[2])))
for _ in range(int(sys.argv[3])):
    repository = open_repository(sys.argv[1], access)
    for entries in repository.index().charts.values():
        for entry in entries:
            print(repository.fetch(entry).digest)
"""


def cached(tmp_path: Path) -> dict[str, bytes]:
    found = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    return {str(path.relative_to(tmp_path / "cache")): path.read_bytes() for path in found}


def refused(error: pytest.ExceptionInfo[PackError]) -> str:
    return f"{error.value.message}\n{error.value.hint}\n{error.value.details}"


# ---- what is asked for, and how often


def test_index_and_archive_are_asked_for_once_in_a_process(
    simulator: Simulator, archive: bytes, opened: Open
) -> None:
    repository = opened(simulator.url)
    assert [chart(repository).data, chart(repository).data] == [archive, archive]
    assert simulator.paths == ["/index.yaml", ARCHIVE]


def test_second_process_asks_only_whether_the_index_changed(
    simulator: Simulator, tmp_path: Path
) -> None:
    simulator.add(CHART, "0.2.1100", chart_archive())
    for _ in range(2):
        arguments = [sys.executable, "-c", PROGRAM, simulator.url, str(tmp_path / "cache"), "1"]
        subprocess.run(arguments, check=True, capture_output=True)
    answers = [(request.path, request.status) for request in simulator.requests]
    assert answers == [("/index.yaml", 200), (ARCHIVE, 200), ("/index.yaml", 304)]
    etag = hashlib.sha256(simulator.files["/index.yaml"]).hexdigest()
    assert simulator.requests[2].headers["if-none-match"] == f'"{etag}"'


def test_last_modified_serves_where_there_is_no_etag(
    simulator: Simulator, archive: bytes, opened: Open
) -> None:
    simulator.has_etag, simulator.last_modified = False, "Thu, 01 May 2025 00:00:00 GMT"
    assert chart(opened(simulator.url)).data == chart(opened(simulator.url)).data == archive
    assert [request.status for request in simulator.requests] == [200, 200, 304]


def test_changed_index_is_read_anew(simulator: Simulator, archive: bytes, opened: Open) -> None:
    assert chart(opened(simulator.url)).data == archive
    simulator.add(CHART, "0.2.1200", chart_archive(version="0.2.1200"))
    versions = [entry.version for entry in opened(simulator.url).index().entries(CHART)]
    assert versions == ["0.2.1100", "0.2.1200"]
    assert simulator.requests[-1].status == 200


def test_index_without_validators_is_fetched_each_time(
    simulator: Simulator, archive: bytes, opened: Open
) -> None:
    simulator.has_etag = False
    for _ in range(2):
        assert chart(opened(simulator.url)).data == archive
    assert simulator.paths == ["/index.yaml", ARCHIVE, "/index.yaml"]
    assert not {"if-none-match", "if-modified-since"} & set(simulator.requests[2].headers)


def test_compressed_index_and_archive_called_gzip_are_read(
    simulator: Simulator, archive: bytes, opened: Open
) -> None:
    simulator.is_compressed = True
    assert chart(opened(simulator.url)).data == archive


def test_several_processes_share_the_cache(simulator: Simulator, tmp_path: Path) -> None:
    for number in range(20):
        version = f"0.2.{number}00"
        simulator.add(CHART, version, chart_archive(version=version))
    arguments = [sys.executable, "-c", PROGRAM, simulator.url, str(tmp_path / "cache"), "3"]
    running = [subprocess.Popen(arguments, stdout=subprocess.PIPE) for _ in range(4)]
    outputs = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0] * 4
    assert len(outputs) == 1
    assert len(outputs.pop().split()) == 60
    kept = cached(tmp_path)
    assert not [name for name in kept if name.endswith(".tmp")]
    for name, data in kept.items():
        if name.startswith("charts/"):
            assert hashlib.sha256(data).hexdigest() in name
    assert len([name for name in kept if name.startswith("charts/")]) == 20


# ---- --offline


def test_offline_uses_only_the_cache(simulator: Simulator, archive: bytes, opened: Open) -> None:
    chart(opened(simulator.url))
    simulator.requests.clear()
    assert chart(opened(simulator.url, is_offline=True)).data == archive
    assert not simulator.requests


def test_offline_without_an_index_in_the_cache_says_so(simulator: Simulator, opened: Open) -> None:
    with pytest.raises(RegistryError) as error:
        opened(simulator.url, is_offline=True).index()
    assert error.value.message == f"{simulator.url}: its index is not in the cache"
    assert error.value.hint == "run once without --offline, or pass --charts-repo DIR"
    assert not simulator.requests


def test_offline_without_the_archive_in_the_cache_says_so(
    simulator: Simulator, archive: bytes, opened: Open
) -> None:
    assert opened(simulator.url).index()
    with pytest.raises(RegistryError) as error:
        chart(opened(simulator.url, is_offline=True))
    assert (
        error.value.message == f"{simulator.url}{ARCHIVE}: not in the cache, and --offline is set"
    )
    assert error.value.hint == "run once without --offline"
    assert simulator.paths == ["/index.yaml"]
    assert archive


def test_damaged_cache_is_no_answer_offline(
    simulator: Simulator, archive: bytes, opened: Open, tmp_path: Path
) -> None:
    chart(opened(simulator.url))
    (kept,) = (tmp_path / "cache" / "charts").iterdir()
    kept.write_bytes(archive[:-1])
    with pytest.raises(RegistryError, match="not in the cache"):
        chart(opened(simulator.url, is_offline=True))


# ---- a damaged cache


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"format": 2}', b"\xff\xfe", b"null"])
@pytest.mark.parametrize("ending", [".json", ".state", ".tgz"])
def test_damaged_cache_entry_is_fetched_again(
    simulator: Simulator, opened: Open, tmp_path: Path, damage: bytes, ending: str
) -> None:
    archive = chart_archive()
    simulator.add(CHART, "0.2.1100", archive)
    chart(opened(simulator.url))
    (entry,) = (tmp_path / "cache").rglob(f"*{ending}")
    before = cached(tmp_path)
    entry.write_bytes(damage)
    assert chart(opened(simulator.url)).data == archive
    assert cached(tmp_path) == before
    fetched_again = {".json": "/index.yaml", ".state": "/index.yaml", ".tgz": ARCHIVE}[ending]
    assert [r.path for r in simulator.requests[2:] if r.status == 200] == [fetched_again]


def test_cache_is_marked_as_one(
    simulator: Simulator, archive: bytes, opened: Open, tmp_path: Path
) -> None:
    assert chart(opened(simulator.url)).data == archive
    tag = cached(tmp_path)["CACHEDIR.TAG"]
    assert tag.startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")


# ---- digests


@pytest.mark.parametrize("is_http", [True, False])
def test_missing_digest_is_an_error_unless_allowed(
    simulator: Simulator, opened: Open, tmp_path: Path, *, is_http: bool
) -> None:
    data = chart_archive()
    simulator.add(CHART, "0.2.1100", data, digest=None)
    for path, content in simulator.files.items():
        file = tmp_path / "folder" / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    source = simulator.url if is_http else str(tmp_path / "folder")
    with pytest.raises(IntegrityError) as error:
        chart(opened(source))
    url = simulator.url if is_http else (tmp_path / "folder").as_uri()
    expected = f"{CHART} 0.2.1100: the index of {url} has no digest for it"
    assert error.value.message == expected
    assert error.value.hint == "pass --allow-missing-digest to accept it unverified"
    assert chart(opened(source, allows_missing_digest=True)).data == data


def test_wrong_bytes_are_refused_and_not_kept(
    simulator: Simulator, archive: bytes, opened: Open, tmp_path: Path
) -> None:
    simulator.faults[ARCHIVE] = wrong_bytes
    with pytest.raises(IntegrityError) as error:
        chart(opened(simulator.url))
    want, got = (hashlib.sha256(d).hexdigest() for d in (archive, b"\x1e" + archive[1:]))
    source = f"{CHART} 0.2.1100 from {simulator.url}{ARCHIVE}"
    assert error.value.message == f"{source}: content is sha256:{got}, expected sha256:{want}"
    assert simulator.paths.count(ARCHIVE) == 1
    assert not [name for name in cached(tmp_path) if name.startswith("charts/")]
    del simulator.faults[ARCHIVE]
    assert chart(opened(simulator.url)).data == archive


@pytest.mark.parametrize("digest", ["md5:00", "0" * 63, "G" * 64, ["a"], "sha256:0:1"])
def test_digest_that_is_none_makes_the_index_invalid(
    simulator: Simulator, opened: Open, digest: object
) -> None:
    simulator.add(CHART, "0.2.1100", chart_archive(), digest=digest)
    with pytest.raises(
        ValidationError, match=f"^{simulator.url}/index.yaml: {CHART}: not a sha256"
    ):
        opened(simulator.url).index()


# ---- addresses of archives


def test_absolute_url_on_another_host_is_fetched_without_credentials(
    simulator: Simulator, other_host: Simulator, opened: Open
) -> None:
    simulator.credentials = "ann:s3cret"
    data = chart_archive()
    other_host.files["/a.tgz"] = data
    simulator.add(CHART, "0.2.1100", data, url=f"{other_host.url}/a.tgz")
    repository = opened(simulator.url.replace("//", "//ann:s3cret@"))
    assert chart(repository).data == data
    assert repository.location(repository.index().entries(CHART)[0]) == f"{other_host.url}/a.tgz"
    assert "authorization" not in other_host.requests[0].headers


@pytest.mark.parametrize(
    "url", ["a.tgz", "./a.tgz", "../stable/a.tgz", "/stable/a.tgz", "ABSOLUTE"]
)
def test_url_is_relative_to_the_repository(simulator: Simulator, opened: Open, url: str) -> None:
    simulator.credentials = "ann:s3cret"
    data = chart_archive()
    there = f"{simulator.url}/stable/a.tgz"
    simulator.add(CHART, "0.2.1100", data, url=there if url == "ABSOLUTE" else url)
    simulator.files["/stable/index.yaml"] = simulator.files.pop("/index.yaml")
    simulator.files["/stable/a.tgz"] = data
    repository = opened(simulator.url.replace("//", "//ann:s3cret@") + "/stable/")
    assert chart(repository).data == data
    assert repository.location(repository.index().entries(CHART)[0]) == there


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.com/a.tgz", "data:,a"])
@pytest.mark.parametrize("is_http", [True, False])
def test_url_of_another_protocol_is_refused(
    simulator: Simulator, opened: Open, tmp_path: Path, url: str, *, is_http: bool
) -> None:
    simulator.add(CHART, "0.2.1100", chart_archive(), url=url)
    (tmp_path / "index.yaml").write_bytes(simulator.files["/index.yaml"])
    with pytest.raises(IntegrityError, match="the index names an address that is not http"):
        chart(opened(simulator.url if is_http else tmp_path))


@pytest.mark.parametrize("url", ["http://[1::/a.tgz", "a\0b.tgz", "a\nb.tgz", "", "?only=query"])
def test_url_that_is_none_makes_the_index_invalid(
    simulator: Simulator, opened: Open, url: str
) -> None:
    simulator.add(CHART, "0.2.1100", chart_archive(), urls=[url])
    with pytest.raises(ValidationError) as error:
        opened(simulator.url).index()
    expected = f"{simulator.url}/index.yaml: {CHART} 0.2.1100: not an address: {url!r}"
    assert error.value.message == expected


# ---- bad indexes


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (b"<html><body>Sign in: you</body></html>\n\t- x: [", "not YAML: line 2, column 1: "),
        (b"a: [1, 2", "not YAML: line 2, column 1: "),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"", "not a chart index, it has no 'entries'"),
        (b"just text", "not a chart index, it has no 'entries'"),
        (b"apiVersion: v1\n", "not a chart index, it has no 'entries'"),
        (b"entries: []\n", "not a chart index, it has no 'entries'"),
        (b"entries: {a: 1}\n", "entries of a are not a list"),
        (b"entries: {a: [1]}\n", "an entry of a lacks version or urls"),
        (b"entries: {a: [{version: 1.0.0}]}\n", "an entry of a lacks version or urls"),
        (b"entries: {a: [{version: 1.0.0, urls: []}]}\n", "an entry of a lacks version or urls"),
        (b"a: &a [*a]\nentries: {}\n", "not YAML: line 1, column 4: found unconstructable"),
    ],
)
def test_bad_index_is_said_and_not_remembered(
    simulator: Simulator, opened: Open, tmp_path: Path, index: bytes, said: str
) -> None:
    simulator.files["/index.yaml"] = index
    for _ in range(2):
        with pytest.raises(ValidationError) as error:
            opened(simulator.url).index()
        assert error.value.message.startswith(f"{simulator.url}/index.yaml: {said}")
    assert not cached(tmp_path)


def test_empty_index_is_one(simulator: Simulator, opened: Open) -> None:
    simulator.files["/index.yaml"] = b"apiVersion: v1\nentries: {}\n"
    assert opened(simulator.url).index().charts == {}


def test_gzip_bomb_as_index_is_refused(simulator: Simulator, opened: Open) -> None:
    simulator.faults["/index.yaml"] = gzip_bomb
    with pytest.raises(RegistryError, match="larger than the limit of 20971520 bytes"):
        opened(simulator.url).index()


@pytest.mark.parametrize(
    "fault", [truncated, cut_chunks, status(500), status(404)], ids=["cut", "chunks", "500", "404"]
)
def test_repository_that_does_not_deliver_names_the_ways_out(
    simulator: Simulator,
    archive: bytes,
    opened: Open,
    fault: Any,  # noqa: ANN401 - a fault
) -> None:
    chart(opened(simulator.url))
    simulator.faults["/index.yaml"] = fault
    with pytest.raises(RegistryError) as error:
        opened(simulator.url).index()
    for way in ("--charts-repo DIR", "--offline", "--lab"):
        assert way in str(error.value.hint)
    assert archive


# ---- credentials


def test_credentials_appear_nowhere(
    simulator: Simulator, archive: bytes, opened: Open, tmp_path: Path
) -> None:
    simulator.credentials = "ann:s3cret"
    address = simulator.url.replace("//", "//ann:s3cret@")
    repository = opened(address)
    assert chart(repository).data == archive
    (entry,) = repository.index().entries(CHART)
    assert (repository.url, repository.location(entry)) == (
        simulator.url,
        simulator.url + ARCHIVE,
    )
    kept = "".join(cached(tmp_path)) + "".join(map(repr, cached(tmp_path).values()))
    assert not re.search("s3cret|ann:", kept)
    faults = [status(c) for c in (401, 403, 404, 429, 500)]
    faults += [redirect("/index.yaml"), redirect("http://127.0.0.1:9/"), redirect("ftp://a/")]
    for fault in [*faults, truncated, cut_chunks, gzip_bomb]:
        simulator.faults = {"/index.yaml": fault}
        with pytest.raises(PackError) as error:
            opened(address).index()
        assert not re.search("s3cret|ann:", refused(error))
    simulator.faults = {"/index.yaml": lambda exchange, _: exchange.reply(200, body=b"a: [")}
    with pytest.raises(ValidationError) as invalid:
        opened(address).index()
    assert "s3cret" not in refused(invalid)


def test_wrong_credentials_are_an_auth_error(
    simulator: Simulator, archive: bytes, opened: Open
) -> None:
    simulator.credentials = "ann:s3cret"
    with pytest.raises(AuthError) as error:
        opened(simulator.url.replace("//", "//ann:wr0ng@")).index()
    assert error.value.message == f"{simulator.url}/index.yaml: 401 Unauthorized"
    assert archive


@pytest.mark.parametrize(
    "source",
    ["ftp://ann:s3cret@example.com/charts", "http://ann:s3cret@[1::/", "oci://ann:s3cret@a/b"],
)
def test_address_that_cannot_be_opened_shows_no_credentials(opened: Open, source: str) -> None:
    with pytest.raises(ConfigError) as error:
        opened(source)
    assert "s3cret" not in refused(error)
    assert error.value.hint is not None


def test_simulators_are_apart() -> None:
    with serving() as one, serving() as two:
        assert one.url != two.url
        assert one.requests is not two.requests
