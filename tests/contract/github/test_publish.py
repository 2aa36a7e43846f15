"""Publishing against GitHub's API: drafts, resumed uploads, refusals; nothing published half."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, PackError, ReleaseError
from rke2pack.github.client import GitHub
from rke2pack.http import new_session
from rke2pack.release.asset import Asset, Kind
from rke2pack.release.publish import Publisher
from rke2pack.release.uploadplan import UploadPlan, Wanted
from tests.contract.github.simulator import (
    COMMIT,
    REPOSITORY,
    TAG,
    TOKEN,
    Exchange,
    Simulator,
    cut_upload,
    lost_answer,
    status,
)

FILES: dict[str, tuple[Kind, bytes]] = {
    "sha256sum-amd64.txt": ("checksums", b"sums\n"),
    "provenance.dsse.json": ("signature", b"signed\n"),
    "provenance.json": ("provenance", b"statement\n"),
    "sbom.cdx.json": ("sbom", b"bill\n"),
    "rke2-coredns.yaml": ("chart", b"chart\n"),
    "rke2-images-core.linux-amd64.txt": ("list", b"image\n"),
    "rke2-images-core.linux-amd64.tar.zst": ("archive", bytes(range(256)) * 5000),
}
ORDER = [
    "rke2-images-core.linux-amd64.tar.zst",
    "rke2-images-core.linux-amd64.txt",
    "rke2-coredns.yaml",
    "sbom.cdx.json",
    "provenance.json",
    "provenance.dsse.json",
    "sha256sum-amd64.txt",
]
ARCHIVE = ORDER[0]


class Bench:
    """A release's folder, and what publishes it to the simulator."""

    def __init__(self, github: Simulator, root: Path) -> None:
        self.github = github
        self.folder = root / "release"
        self.folder.mkdir()
        self.lines: list[str] = []
        self.waits: list[float] = []
        self.wanted = Wanted(name=TAG, body="# Notes", commit=COMMIT)
        for name, (_, data) in FILES.items():
            (self.folder / name).write_bytes(data)

    def plan(self) -> UploadPlan:
        assets = tuple(
            Asset(
                name=name,
                kind=kind,
                path=self.folder / name,
                size=len(data),
                digest=Digest.of(data),
            )
            for name, (kind, data) in FILES.items()
        )
        return UploadPlan(tag=TAG, assets=assets, path=self.folder.with_name("plan.json"))

    def publisher(self, *, token: str = TOKEN, api: str | None = None) -> Publisher:
        client = GitHub(
            new_session(),
            REPOSITORY,
            token=token,
            api=api or self.github.url,
            sleep=self.waits.append,
        )
        return Publisher(
            github=client,
            plan=self.plan(),
            wanted=self.wanted,
            now=lambda: datetime.now(UTC),
            tell=self.lines.append,
        )

    def publish(self, *, is_dry_run: bool = False, token: str = TOKEN) -> UploadPlan:
        publisher = self.publisher(token=token)
        publisher.publish(is_dry_run=is_dry_run)
        return publisher.plan

    def refused(self, kind: type[PackError] = ReleaseError, *, token: str = TOKEN) -> PackError:
        """Publish, which must fail and must not publish; and must not tell the token."""
        with pytest.raises(kind) as caught:
            self.publish(token=token)
        assert [each for each in self.github.releases if not each.is_draft] == []
        error = caught.value
        assert token not in f"{error.message} {error.hint} {error.details} {self.lines}"
        return error

    @property
    def there(self) -> dict[str, bytes]:
        return {name: each.data for name, each in self.github.releases[-1].assets.items()}


@pytest.fixture
def bench(github: Simulator, tmp_path: Path) -> Bench:
    return Bench(github, tmp_path)


def test_draft_is_filled_in_order_proved_and_published(bench: Bench) -> None:
    plan = bench.publish()
    (release,) = bench.github.releases
    assert list(release.assets) == ORDER
    assert bench.there == {name: data for name, (_, data) in FILES.items()}
    assert not release.is_draft
    assert release.document["body"] == "# Notes"
    assert release.document["make_latest"] == "legacy"
    assert set(plan.states.values()) == {"published"}
    writes = [(method, path) for method, path in bench.github.requests if method != "GET"]
    assert writes[0] == ("POST", f"/repos/{REPOSITORY}/releases")
    assert writes[-1][0] == "PATCH"
    proofs = [number for number, (_, p) in enumerate(bench.github.requests) if "/elsewhere/" in p]
    assert len(proofs) == len(FILES)
    assert bench.github.requests.index(writes[-1]) > proofs[-1]


def test_token_does_not_follow_the_redirect_to_the_files(bench: Bench) -> None:
    bench.publish()
    assert bench.github.tokens_elsewhere == []


def test_netrc_does_not_take_the_tokens_place(bench: Bench, isolated_env: Path) -> None:
    netrc = isolated_env / ".netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    netrc.chmod(0o600)
    bench.publish()
    assert not bench.github.releases[0].is_draft


def test_second_run_finds_it_published_and_sends_nothing(bench: Bench) -> None:
    bench.publish()
    before = len([1 for method, _ in bench.github.requests if method != "GET"])
    plan = bench.publish()
    assert len([1 for method, _ in bench.github.requests if method != "GET"]) == before
    assert set(plan.states.values()) == {"published"}


def test_published_release_with_other_bytes_is_never_touched(bench: Bench) -> None:
    release = bench.github.draft(is_draft=False)
    for name, (_, data) in FILES.items():
        bench.github.put(release, name, data)
    bench.github.put(release, ARCHIVE, b"other")
    with pytest.raises(ReleaseError) as caught:
        bench.publish()
    assert caught.value.message == (
        f"{TAG}: is published already: {ARCHIVE}: is there with other bytes"
    )
    assert caught.value.hint == "nothing that is published is changed; release it under another tag"
    assert {method for method, _ in bench.github.requests} == {"GET"}
    assert bench.there[ARCHIVE] == b"other"


def test_published_release_that_lacks_files_is_not_completed(bench: Bench) -> None:
    bench.github.draft(is_draft=False)
    with pytest.raises(ReleaseError) as caught:
        bench.publish()
    assert caught.value.message == f"{TAG}: is published already: {len(FILES)} files differ"
    assert {method for method, _ in bench.github.requests} == {"GET"}


def test_what_the_draft_has_is_not_sent_again(bench: Bench) -> None:
    release = bench.github.draft()
    bench.github.put(release, ARCHIVE, FILES[ARCHIVE][1])
    bench.publish()
    assert bench.github.sent(ARCHIVE) == 0
    assert bench.there[ARCHIVE] == FILES[ARCHIVE][1]
    assert not release.is_draft


def test_server_without_digests_is_asked_for_the_bytes(bench: Bench) -> None:
    bench.github.has_digest = False
    release = bench.github.draft()
    bench.github.put(release, ARCHIVE, FILES[ARCHIVE][1])
    bench.publish()
    assert bench.github.sent(ARCHIVE) == 0
    assert not release.is_draft


def test_half_sent_file_of_an_earlier_run_is_removed_and_sent_anew(bench: Bench) -> None:
    release = bench.github.draft()
    bench.github.put(release, ARCHIVE, FILES[ARCHIVE][1][:100], state="starter")
    plan = bench.publish()
    assert bench.github.sent(ARCHIVE) == 1
    assert bench.there[ARCHIVE] == FILES[ARCHIVE][1]
    assert plan.states[ARCHIVE] == "published"


def test_draft_with_other_bytes_is_an_error_that_names_them(bench: Bench) -> None:
    release = bench.github.draft()
    bench.github.put(release, "sbom.cdx.json", b"other")
    error = bench.refused()
    assert error.message == (
        f"{TAG}: the draft is of another build: sbom.cdx.json: is there with other bytes"
    )
    assert bench.there == {"sbom.cdx.json": b"other"}


def test_draft_with_a_strange_file_is_an_error_that_names_it(bench: Bench) -> None:
    bench.github.put(bench.github.draft(), "notes.pdf", b"?")
    assert "notes.pdf: does not belong to the release" in bench.refused().message
    assert bench.there == {"notes.pdf": b"?"}


def test_name_from_the_server_cannot_write_to_the_terminal(bench: Bench) -> None:
    bench.github.put(bench.github.draft(), "a\x1b[2J\n::error::b", b"?")
    assert "'a\\x1b[2J\\n::error::b': does not belong" in bench.refused().message


def test_signature_that_cannot_be_made_again_is_replaced_in_a_draft(bench: Bench) -> None:
    bench.github.put(bench.github.draft(), "provenance.dsse.json", b"another signature")
    bench.publish()
    assert bench.there["provenance.dsse.json"] == b"signed\n"


def test_upload_cut_in_the_middle_is_sent_anew(bench: Bench) -> None:
    bench.github.fail("POST upload", cut_upload(70_000))
    bench.publish()
    assert bench.there[ARCHIVE] == FILES[ARCHIVE][1]
    assert bench.github.sent(ARCHIVE) == 2
    assert f"again    {ARCHIVE}" in bench.lines


def test_upload_that_always_breaks_leaves_a_draft_that_the_next_run_completes(
    bench: Bench,
) -> None:
    bench.github.fail("POST upload", cut_upload(70_000), times=4)
    error = bench.refused()
    assert error.hint == "run the same command again: what is there is kept"
    assert bench.there == {}
    bench.publish()
    assert not bench.github.releases[0].is_draft
    assert bench.there[ARCHIVE] == FILES[ARCHIVE][1]


@pytest.mark.parametrize("what", ["POST releases", "POST upload", "PATCH release"])
def test_lost_answer_is_looked_up_and_nothing_is_done_twice(bench: Bench, what: str) -> None:
    bench.github.fail(what, lost_answer)
    bench.publish()
    (release,) = bench.github.releases
    assert not release.is_draft
    assert bench.there == {name: data for name, (_, data) in FILES.items()}
    assert bench.github.sent(ARCHIVE) == 1


def test_answer_before_all_was_sent_is_no_success(bench: Bench) -> None:
    def early(exchange: Exchange) -> bool:
        exchange.receive(10)
        exchange.reply(201, {"id": 1, "name": ARCHIVE, "size": 10, "state": "uploaded"})
        exchange.cut()
        return True

    bench.github.fail("POST upload", early)
    bench.publish()
    assert bench.there[ARCHIVE] == FILES[ARCHIVE][1]


def test_file_that_never_arrives_whole_ends_it(bench: Bench) -> None:
    def short(exchange: Exchange) -> bool:
        exchange.receive(len(FILES[ARCHIVE][1]))
        exchange.send(201, b'{"id": 9, "name": "x", "size": 10, "state": "uploaded"}')
        return True

    bench.github.fail("POST upload", short, times=4)
    assert f"10 of {len(FILES[ARCHIVE][1])} bytes arrived" in bench.refused().message
    bench.publish()
    assert bench.there[ARCHIVE] == FILES[ARCHIVE][1]


def test_file_that_changes_while_it_is_sent_is_removed_again(bench: Bench) -> None:
    (bench.folder / ARCHIVE).write_bytes(FILES[ARCHIVE][1][:-1] + b"!")
    error = bench.refused(IntegrityError)
    assert "changed while it was sent" in error.message
    assert bench.there == {}


def test_download_that_differs_keeps_it_a_draft_and_names_the_file(bench: Bench) -> None:
    def altered(exchange: Exchange) -> bool:
        exchange.send(200, b"x" * len(FILES[ARCHIVE][1]))
        return True

    bench.github.fail("GET download", altered)
    error = bench.refused(IntegrityError)
    assert error.message.startswith(f"{TAG}: the draft is not what was sent: {ARCHIVE}: is sha256:")


def test_download_cut_in_the_middle_is_tried_again(bench: Bench) -> None:
    def cut(exchange: Exchange) -> bool:
        exchange.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1280000\r\n\r\nabc")
        exchange.cut()
        return True

    bench.github.fail("GET download", cut)
    bench.publish()
    assert not bench.github.releases[0].is_draft


def test_endless_download_ends_at_the_files_size(bench: Bench) -> None:
    def endless(exchange: Exchange) -> bool:
        exchange.send(200, b"x" * (len(FILES[ARCHIVE][1]) + 1))
        return True

    bench.github.fail("GET download", endless)
    assert "more than the" in bench.refused(IntegrityError).message


def test_token_without_rights_is_named_before_anything_is_there(bench: Bench) -> None:
    bench.github.may_write = False
    error = bench.refused()
    assert "403 Resource not accessible by integration" in error.message
    assert error.hint == "use a token that may write contents (contents: write)"
    assert bench.github.releases == []


def test_wrong_token_is_refused(bench: Bench) -> None:
    error = bench.refused(token="another-token")
    assert "401 Bad credentials" in error.message
    assert error.hint == "set GITHUB_TOKEN to a token that is valid"


@pytest.mark.parametrize("seconds", [-3600.0, 3600.0])
def test_clocks_that_differ_stop_it_first(bench: Bench, seconds: float) -> None:
    bench.github.clock = seconds
    assert bench.refused().message.startswith("the clocks differ: here it is ")
    assert len(bench.github.requests) == 1


def test_tag_that_is_not_there_is_an_error(bench: Bench) -> None:
    bench.github.tags.clear()
    error = bench.refused()
    assert error.message == f"{TAG}: {REPOSITORY} has no such tag"
    assert error.hint == "push the tag first"


def test_tag_of_another_commit_is_an_error(bench: Bench) -> None:
    bench.github.tags[TAG] = "f" * 40
    assert bench.refused().message == (
        f"{TAG}: is {'f' * 40} at {REPOSITORY}, this release is of {COMMIT}"
    )
    assert bench.github.releases == []


def test_two_drafts_of_a_tag_are_an_error(bench: Bench) -> None:
    bench.github.draft()
    bench.github.draft()
    assert bench.refused().message == f"{TAG}: 2 drafts at {REPOSITORY}"


def test_other_releases_and_more_than_a_page_of_them_do_not_matter(bench: Bench) -> None:
    for number in range(230):
        bench.github.draft(f"v1.30.{number}+rke2r1", is_draft=False)
    release = bench.github.draft()
    bench.publish()
    assert not release.is_draft


@pytest.mark.parametrize(
    "fault",
    [
        status(503),
        status(429, Retry_After="7"),
        status(403, "secondary rate limit", Retry_After="7"),
        status(403, "rate limit", X_RateLimit_Remaining="0"),
    ],
    ids=["unavailable", "too-many", "secondary", "primary"],
)
def test_reading_is_tried_again_when_the_server_asks_for_it(
    bench: Bench, fault: Callable[[Exchange], bool]
) -> None:
    bench.github.fail("GET assets", fault)
    bench.publish()
    assert len(bench.waits) == 1
    assert not bench.github.releases[0].is_draft


def test_server_that_is_down_is_an_error_with_the_next_step(bench: Bench) -> None:
    bench.github.fail("GET repository", status(502), times=4)
    error = bench.refused()
    assert error.hint == "run the same command again: what is there is kept"
    assert len(bench.waits) == 3


def test_files_are_not_sent_to_a_host_that_the_token_is_not_for(bench: Bench) -> None:
    bench.github.uploads = "http://files.example.com"
    error = bench.refused()
    assert "not where 127.0.0.1 takes files, the token stays here" in error.message


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"id": 1}', b"[" * 100_000])
def test_answer_that_is_no_release_is_an_error(bench: Bench, body: bytes) -> None:
    def strange(exchange: Exchange) -> bool:
        exchange.receive()
        exchange.send(201, body)
        return True

    bench.github.fail("POST releases", strange)
    assert bench.refused().hint == "check --api"


def test_stays_a_draft_when_asked(bench: Bench) -> None:
    bench.wanted = replace(bench.wanted, stays_draft=True, is_prerelease=True)
    plan = bench.publish()
    (release,) = bench.github.releases
    assert release.is_draft
    assert release.document["prerelease"] is True
    assert set(plan.states.values()) == {"verified"}


def test_dry_run_only_reads(bench: Bench) -> None:
    bench.publish(is_dry_run=True)
    assert {method for method, _ in bench.github.requests} == {"GET"}
    assert bench.lines == [f"would send {len(FILES)} of {len(FILES)} files"]


@pytest.mark.parametrize(
    ("api", "repository", "wrong"),
    [
        ("http://github.example.com", REPOSITORY, "the token would travel in the clear"),
        ("ftp://github.example.com", REPOSITORY, "not an address of GitHub's API"),
        ("https://api.github.com", "../../etc", "not a repository"),
        ("https://api.github.com", "owner", "not a repository"),
    ],
)
def test_wrong_place_is_refused_before_the_token_goes_anywhere(
    api: str, repository: str, wrong: str
) -> None:
    with pytest.raises(ReleaseError, match=wrong):
        GitHub(new_session(), repository, token=TOKEN, api=api)
