"""`Fetcher` against a server that does everything wrong."""

from __future__ import annotations

import email.utils
import gzip
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from rke2pack.errors import AuthError, ConfigError, NotFoundError, RateLimitedError, RegistryError
from rke2pack.http import Fetcher, new_session
from tests.contract.conftest import Authority
from tests.contract.simulator import (
    Endless,
    Fault,
    Simulator,
    chunked,
    cut_chunks,
    damaged_gzip,
    dripping,
    first,
    gzip_bomb,
    hanging_up,
    longer,
    redirect,
    serving,
    silent,
    status,
    truncated,
)

BODY = b"entries: {}\n" * 100


@pytest.fixture
def waits() -> list[float]:
    """Seconds that the fetcher would have slept."""
    return []


@pytest.fixture
def fetcher(waits: list[float]) -> Iterator[Fetcher]:
    with new_session() as session:
        yield Fetcher(session, sleep=waits.append)


def get(fetcher: Fetcher, simulator: Simulator, **options: Any) -> bytes:  # noqa: ANN401 - as get
    address = simulator.url + "/index.yaml"
    return fetcher.get(address, **{"max_bytes": 1_000_000, **options}).body


@pytest.fixture(autouse=True)
def published(simulator: Simulator) -> None:
    simulator.files["/index.yaml"] = BODY


def test_body_arrives_whole(simulator: Simulator, fetcher: Fetcher) -> None:
    assert get(fetcher, simulator) == BODY


def test_chunked_body_arrives_whole(simulator: Simulator, fetcher: Fetcher) -> None:
    simulator.faults["/index.yaml"] = chunked
    assert get(fetcher, simulator) == BODY


@pytest.mark.parametrize("is_compressed", [True, False])
def test_gzip_encoding_is_undone(
    simulator: Simulator, fetcher: Fetcher, *, is_compressed: bool
) -> None:
    simulator.is_compressed = True
    assert get(fetcher, simulator, compressed=is_compressed) == BODY
    asked = simulator.requests[0].headers["accept-encoding"]
    assert asked == ("gzip" if is_compressed else "identity")


def test_archives_own_gzip_is_no_encoding(simulator: Simulator, fetcher: Fetcher) -> None:
    simulator.is_compressed = True
    simulator.files["/a.tgz"] = gzip.compress(BODY)
    got = fetcher.get(f"{simulator.url}/a.tgz", max_bytes=10_000)
    assert got.body == simulator.files["/a.tgz"]


def test_missing_file_is_not_asked_for_again(simulator: Simulator, fetcher: Fetcher) -> None:
    simulator.faults["/index.yaml"] = status(404)
    with pytest.raises(NotFoundError) as error:
        get(fetcher, simulator)
    assert error.value.message == f"{simulator.url}/index.yaml: 404 Not Found"
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("code", [408, 425, 500, 502, 503, 504])
def test_temporary_status_is_tried_again(
    simulator: Simulator, fetcher: Fetcher, waits: list[float], code: int
) -> None:
    simulator.faults["/index.yaml"] = first(3, status(code))
    assert get(fetcher, simulator) == BODY
    assert len(simulator.requests) == 4
    assert len(waits) == 3
    assert all(0 <= wait <= most for wait, most in zip(waits, (0.5, 1, 2), strict=True))


def test_lasting_500_ends_after_four_attempts(simulator: Simulator, fetcher: Fetcher) -> None:
    simulator.faults["/index.yaml"] = status(500)
    with pytest.raises(RegistryError) as error:
        get(fetcher, simulator)
    assert error.value.message == f"{simulator.url}/index.yaml: 500 Internal Server Error"
    assert len(simulator.requests) == 4


@pytest.mark.parametrize("code", [400, 410, 418, 501])
def test_lasting_status_is_not_tried_again(
    simulator: Simulator, fetcher: Fetcher, code: int
) -> None:
    simulator.faults["/index.yaml"] = status(code)
    with pytest.raises(RegistryError, match=f": {code} "):
        get(fetcher, simulator)
    assert len(simulator.requests) == 1


@pytest.mark.parametrize(("said", "waited"), [("3", 3.0), ("0", 0.0), ("86400", 60.0)])
def test_retry_after_in_seconds_is_obeyed(
    simulator: Simulator, fetcher: Fetcher, waits: list[float], said: str, waited: float
) -> None:
    simulator.faults["/index.yaml"] = first(1, status(429, {"Retry-After": said}))
    assert get(fetcher, simulator) == BODY
    assert waits == [waited]


def test_retry_after_as_date_is_obeyed(
    simulator: Simulator, fetcher: Fetcher, waits: list[float]
) -> None:
    date = email.utils.formatdate(time.time() + 20, usegmt=True)
    simulator.faults["/index.yaml"] = first(1, status(503, {"Retry-After": date}))
    assert get(fetcher, simulator) == BODY
    assert 17 < waits[0] <= 20


def test_lasting_429_is_said(simulator: Simulator, fetcher: Fetcher, waits: list[float]) -> None:
    simulator.faults["/index.yaml"] = status(429, {"Retry-After": "7"})
    with pytest.raises(RateLimitedError, match=r": 429 Too Many Requests$"):
        get(fetcher, simulator)
    assert waits == [7.0, 7.0, 7.0]


def test_credentials_of_the_address_are_sent(simulator: Simulator, fetcher: Fetcher) -> None:
    simulator.credentials = "ann:s3cret"
    address = simulator.url.replace("//", "//ann:s3cret@") + "/index.yaml"
    assert fetcher.get(address, max_bytes=10_000).body == BODY


def test_netrc_is_honoured(simulator: Simulator, fetcher: Fetcher, isolated_env: Path) -> None:
    simulator.credentials = "ann:s3cret"
    netrc = isolated_env / ".netrc"
    netrc.write_text("machine 127.0.0.1 login ann password s3cret\n")
    netrc.chmod(0o600)
    assert get(fetcher, simulator) == BODY


def test_address_counts_more_than_netrc(
    simulator: Simulator, fetcher: Fetcher, isolated_env: Path
) -> None:
    simulator.credentials = "ann:s3cret"
    netrc = isolated_env / ".netrc"
    netrc.write_text("machine 127.0.0.1 login bob password other\n")
    netrc.chmod(0o600)
    address = simulator.url.replace("//", "//ann:s3cret@") + "/index.yaml"
    assert fetcher.get(address, max_bytes=10_000).body == BODY


@pytest.mark.parametrize("code", [401, 403])
def test_refused_credentials_are_not_shown(
    simulator: Simulator, fetcher: Fetcher, code: int
) -> None:
    simulator.faults["/index.yaml"] = status(code)
    address = simulator.url.replace("//", "//ann:s3cret@") + "/index.yaml?token=t0ken"
    with pytest.raises(AuthError, match=f"^{simulator.url}/index.yaml: {code} ") as error:
        fetcher.get(address, max_bytes=10_000)
    assert error.value.hint == "check the credentials in netrc or in the address"
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirect_is_followed(simulator: Simulator, fetcher: Fetcher, code: int) -> None:
    simulator.faults["/old.yaml"] = redirect("/index.yaml", code)
    assert fetcher.get(f"{simulator.url}/old.yaml", max_bytes=10_000).body == BODY


def test_credentials_follow_a_redirect_on_the_same_host(
    simulator: Simulator, fetcher: Fetcher
) -> None:
    simulator.credentials = "ann:s3cret"
    simulator.faults["/old.yaml"] = redirect("/index.yaml")
    address = simulator.url.replace("//", "//ann:s3cret@") + "/old.yaml"
    assert fetcher.get(address, max_bytes=10_000).body == BODY


def test_credentials_do_not_follow_to_another_host(
    simulator: Simulator, other_host: Simulator, fetcher: Fetcher
) -> None:
    other_host.files["/index.yaml"] = BODY
    simulator.faults["/index.yaml"] = redirect(f"{other_host.url}/index.yaml")
    address = simulator.url.replace("//", "//ann:s3cret@") + "/index.yaml"
    assert fetcher.get(address, max_bytes=10_000).body == BODY
    assert "authorization" in simulator.requests[0].headers
    assert "authorization" not in other_host.requests[0].headers


def test_redirect_loop_ends(simulator: Simulator, fetcher: Fetcher) -> None:
    simulator.faults["/index.yaml"] = redirect("/index.yaml")
    with pytest.raises(RegistryError, match=r"index.yaml: more than 5 redirects$") as error:
        get(fetcher, simulator)
    assert error.value.hint == "check the address of the chart repository"
    assert len(simulator.requests) == 6


def test_endless_body_of_a_redirect_is_not_read(simulator: Simulator, fetcher: Fetcher) -> None:
    def act(exchange: Any, content: bytes) -> None:  # noqa: ANN401 - a fault
        send = exchange.start
        exchange.start = lambda _, headers: send(302, {**headers, "Location": "/index.yaml"})
        endless(exchange, content)

    endless = Endless()
    simulator.faults["/old.yaml"] = act
    assert fetcher.get(f"{simulator.url}/old.yaml", max_bytes=10_000).body == BODY
    assert endless.sent < 10_000_000


def test_redirect_to_what_is_no_address_is_said(simulator: Simulator, fetcher: Fetcher) -> None:
    simulator.faults["/index.yaml"] = redirect("http://[1::/index.yaml")
    with pytest.raises(RegistryError) as error:
        get(fetcher, simulator)
    expected = f"{simulator.url}/index.yaml: redirects to what is no address"
    assert error.value.message == expected


def test_redirect_to_another_protocol_is_refused(simulator: Simulator, fetcher: Fetcher) -> None:
    simulator.faults["/index.yaml"] = redirect("file:///etc/passwd")
    with pytest.raises(RegistryError, match=f"^{simulator.url}/index.yaml: "):
        get(fetcher, simulator)


def test_redirect_from_https_to_http_is_refused_unasked(
    simulator: Simulator, authority: Authority
) -> None:
    with (
        serving(tls=authority.server) as secure,
        new_session(ca_file=authority.ca_file) as session,
    ):
        secure.faults["/index.yaml"] = redirect(f"{simulator.url}/index.yaml")
        with pytest.raises(RegistryError) as error:
            get(Fetcher(session), secure)
        expected = f"{secure.url}/index.yaml: redirects from https to http, refused"
        assert error.value.message == expected
    assert not simulator.requests


@pytest.mark.parametrize("fault", [truncated, cut_chunks])
def test_broken_off_body_is_tried_again_and_never_returned(
    simulator: Simulator, fetcher: Fetcher, fault: Fault
) -> None:
    simulator.faults["/index.yaml"] = first(1, fault)
    assert get(fetcher, simulator) == BODY
    simulator.faults["/index.yaml"] = fault
    with pytest.raises(RegistryError, match=r"index.yaml: the answer broke off: ") as error:
        get(fetcher, simulator)
    assert error.value.temporary


def test_bytes_beyond_content_length_are_left_out(simulator: Simulator, fetcher: Fetcher) -> None:
    simulator.faults["/index.yaml"] = longer
    assert get(fetcher, simulator) == BODY


def test_server_that_hangs_up_is_tried_again(simulator: Simulator, fetcher: Fetcher) -> None:
    simulator.faults["/index.yaml"] = first(2, hanging_up)
    assert get(fetcher, simulator) == BODY


def test_port_that_nobody_serves_is_named(fetcher: Fetcher) -> None:
    with serving() as gone:
        pass
    with pytest.raises(RegistryError) as error:
        get(fetcher, gone)
    assert error.value.message == f"{gone.url}/index.yaml: not reachable: Connection refused"
    assert error.value.temporary


@pytest.mark.usefixtures("impatient")
def test_silent_server_times_out(simulator: Simulator, fetcher: Fetcher) -> None:
    simulator.faults["/index.yaml"] = silent
    with pytest.raises(RegistryError) as error:
        get(fetcher, simulator)
    assert error.value.message == f"{simulator.url}/index.yaml: timed out"


@pytest.mark.usefixtures("impatient")
def test_dripping_server_meets_the_deadline(simulator: Simulator, fetcher: Fetcher) -> None:
    simulator.faults["/index.yaml"] = dripping
    with pytest.raises(RegistryError, match=r"index.yaml: not finished after 0 s$"):
        get(fetcher, simulator)
    assert len(simulator.requests) == 1


def test_endless_body_is_refused_at_the_ceiling(simulator: Simulator, fetcher: Fetcher) -> None:
    endless = Endless()
    simulator.faults["/index.yaml"] = endless
    with pytest.raises(RegistryError) as error:
        get(fetcher, simulator)
    expected = f"{simulator.url}/index.yaml: larger than the limit of 1000000 bytes"
    assert error.value.message == expected
    assert error.value.hint == "check that the address is a chart repository"
    assert endless.sent < 20_000_000


def test_gzip_bomb_is_refused_at_the_ceiling(simulator: Simulator, fetcher: Fetcher) -> None:
    simulator.faults["/index.yaml"] = gzip_bomb
    with pytest.raises(RegistryError, match=r": larger than the limit of 1000000 bytes$"):
        get(fetcher, simulator, compressed=True)


def test_damaged_gzip_encoding_is_said(simulator: Simulator, fetcher: Fetcher) -> None:
    simulator.faults["/index.yaml"] = damaged_gzip
    with pytest.raises(RegistryError, match=r"index.yaml: damaged Content-Encoding$"):
        get(fetcher, simulator, compressed=True)


def test_private_ca_is_trusted_with_ca_file(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = tmp_path / "other.pem"
    bundle.write_bytes(Path(requests.utils.DEFAULT_CA_BUNDLE_PATH).read_bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with (
        serving(tls=authority.server) as secure,
        new_session(ca_file=authority.ca_file) as session,
    ):
        secure.files["/index.yaml"] = BODY
        assert get(Fetcher(session), secure) == BODY


def test_private_ca_without_ca_file_fails_with_the_hint(
    authority: Authority, fetcher: Fetcher, waits: list[float]
) -> None:
    with serving(tls=authority.server) as secure, pytest.raises(RegistryError) as error:
        get(fetcher, secure)
    assert error.value.message.startswith(f"{secure.url}/index.yaml: TLS failed: ")
    assert "certificate verify failed" in error.value.message.lower()
    assert error.value.hint == "name a private CA with --ca-file"
    assert not waits


def test_ca_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^cannot read the CA file .*/none: No such file"):
        new_session(ca_file=tmp_path / "none")
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate\n")
    with pytest.raises(ConfigError) as error:
        new_session(ca_file=wrong)
    assert error.value.message == f"{wrong}: not a file of certificates (PEM)"


def test_proxy_of_the_environment_is_used_for_other_hosts(
    simulator: Simulator, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", simulator.url)
    monkeypatch.setenv("http_proxy", simulator.url)
    target = "http://charts.example.com/index.yaml"
    assert fetcher.get(target, max_bytes=10_000).body == BODY
    assert [request.target for request in simulator.requests] == [target]


def test_no_proxy_is_honoured(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy, serving(host="127.0.0.2") as host:
        host.files["/index.yaml"] = BODY
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.2")
        assert get(fetcher, host) == BODY
        assert not proxy.requests


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
def test_loopback_needs_no_proxy(
    simulator: Simulator, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert get(fetcher, simulator) == BODY


@pytest.mark.parametrize(
    "address",
    [
        "http://ann:s3cret@charts.example.com:99999/",
        "http://ann:s3cret@/index.yaml",
        "http://ann:s3cret@exa mple/index.yaml",
        "http://ann:s3cret@127.0.0.1:9/index.yaml?token=s3cret",
    ],
)
def test_address_that_cannot_be_asked_shows_no_credentials(fetcher: Fetcher, address: str) -> None:
    with pytest.raises(RegistryError) as error:
        fetcher.get(address, max_bytes=10)
    assert "s3cret" not in f"{error.value.message} {error.value.hint} {error.value.details}"
