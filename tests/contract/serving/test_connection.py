from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from http import HTTPStatus
from pathlib import Path

import pytest

from rke2pack.serving import message
from rke2pack.serving.connection import Limits
from rke2pack.serving.content import content
from rke2pack.serving.message import Answer, Request
from rke2pack.serving.server import Listen, Server, running
from tests.contract.loopback import wait_for
from tests.contract.serving.talk import Talk, get, talking

LARGE = 32 * 1024 * 1024
QUICK = Limits(head_seconds=0.3, idle_seconds=0.3, stall_seconds=0.3, drain_seconds=0.3)
Connect = Callable[[], AbstractContextManager[Talk]]


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    with path.open("wb") as handle:
        handle.truncate(LARGE)
    return path


@pytest.fixture
def site(large: Path) -> Callable[[Request], Answer]:
    """Answers with what was asked; /large is a file, /echo what was sent."""

    def answer(request: Request) -> Answer:
        match request.path:
            case "/large":
                return content(request, message.opened(large), tag="it", headers={})
            case "/echo":
                return Answer(status=HTTPStatus.OK, body=b"".join(request.body))
            case "/bug":
                raise LookupError
            case "/none":
                return Answer(status=HTTPStatus.NO_CONTENT)
        return Answer(status=HTTPStatus.OK, body=f"{request.method} {request.path}".encode())

    return answer


@pytest.fixture
def server(site: Callable[[Request], Answer]) -> Iterator[Server]:
    with running(site) as found:
        yield found


@pytest.fixture
def quick(site: Callable[[Request], Answer]) -> Iterator[Server]:
    with running(site, limits=QUICK) as found:
        yield found


def test_one_connection_carries_many_requests(server: Server) -> None:
    with talking(server) as talk:
        for number in range(5):
            talk.say(get(f"/{number}"))
            assert talk.hear().body == f"GET /{number}".encode()


def test_requests_may_come_all_at_once(server: Server) -> None:
    with talking(server) as talk:
        talk.say("".join(get(f"/{number}") for number in range(20)))
        assert [talk.hear().body for _ in range(20)] == [b"GET /%d" % n for n in range(20)]


def test_head_has_the_length_and_no_body(server: Server) -> None:
    with talking(server) as talk:
        talk.say(get("/large", method="HEAD") + get("/none") + get("/x"))
        assert talk.hear(is_head=True).headers["Content-Length"] == str(LARGE)
        assert talk.hear().status == HTTPStatus.NO_CONTENT
        assert talk.hear().body == b"GET /x"


def test_file_comes_whole_and_in_parts(server: Server) -> None:
    with talking(server) as talk:
        talk.say(get("/large"))
        assert talk.hear().body == bytes(LARGE)
        talk.say(get("/large", "Range: bytes=5-9"))
        reply = talk.hear()
        assert (reply.status, reply.body) == (206, bytes(5))
        assert reply.headers["Content-Range"] == f"bytes 5-9/{LARGE}"
        talk.say(get("/large", f"Range: bytes={LARGE}-"))
        assert talk.hear().status == 416
        talk.say(get("/large", 'If-None-Match: "it"'))
        assert talk.hear().status == 304


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET /\x01 HTTP/1.1\r\nHost: it\r\n\r\n", 400),
        (get("/", "Bad header: x"), 400),
        (get("/", "Content-Length: 1", "Content-Length: 2"), 400),
        (get("/", "Content-Length: x"), 400),
        (get("/", "Transfer-Encoding: gzip"), 501),
        (get("/", f"X: {'x' * 100_000}"), 431),
        (get("/" + "x" * 100_000), 431),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS
        (get("/%ff"), 400),
    ],
)
def test_bad_request_is_refused_and_the_server_goes_on(
    server: Server, text: str, status: int
) -> None:
    with talking(server) as talk:
        talk.say(text)
        reply = talk.hear()
        assert reply.status == status
        assert reply.body.startswith(b"bad request")
    with talking(server) as talk:
        talk.say(get("/after"))
        assert talk.hear().status == 200


def test_bug_in_an_answer_is_500_and_logged(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with talking(server) as talk, caplog.at_level(logging.ERROR):
        talk.say(get("/bug") + get("/after"))
        assert talk.hear().status == 500
        assert talk.hear().body == b"GET /after"
    assert "GET /bug" in caplog.text
    assert "LookupError" in caplog.text


def test_old_client_is_answered_and_left(server: Server) -> None:
    with talking(server) as talk:
        talk.say("GET /x HTTP/1.0\r\n\r\n")
        assert talk.hear().body == b"GET /x"
        assert talk.is_over()


def test_close_is_obeyed(server: Server) -> None:
    with talking(server) as talk:
        talk.say(get("/x", "Connection: close"))
        assert talk.hear().body == b"GET /x"
        assert talk.is_over()


# ---- bodies of requests


def test_body_is_given_to_who_reads_it(server: Server) -> None:
    chunked = "5\r\nhello\r\n0\r\n\r\n"
    with talking(server) as talk:
        talk.say(get("/echo", "Content-Length: 3", method="PUT") + "abc")
        talk.say(get("/echo", "Transfer-Encoding: chunked", method="PUT") + chunked)
        assert [talk.hear().body, talk.hear().body] == [b"abc", b"hello"]


def test_body_that_nobody_reads_is_passed_over(server: Server) -> None:
    with talking(server) as talk:
        talk.say(get("/x", "Content-Length: 3", method="PUT") + "abc" + get("/y"))
        assert [talk.hear().body, talk.hear().body] == [b"PUT /x", b"GET /y"]


def test_endless_body_that_nobody_reads_ends_the_connection(quick: Server) -> None:
    with talking(quick) as talk:
        talk.say(get("/x", "Content-Length: 1000000000", method="PUT") + "a" * 1000)
        reply = talk.hear()
        assert (reply.body, reply.headers["Connection"]) == (b"PUT /x", "close")
        assert talk.is_over()


def test_client_that_asks_first_is_told_to_go_on_only_where_somebody_reads(server: Server) -> None:
    asking = ("Content-Length: 3", "Expect: 100-continue")
    with talking(server) as talk:
        talk.say(get("/echo", *asking, method="PUT"))
        assert talk.hear().status == 100
        talk.say("abc")
        assert talk.hear().body == b"abc"
    with talking(server) as talk:
        talk.say(get("/x", *asking, method="PUT"))
        reply = talk.hear()
        assert (reply.status, reply.headers["Connection"]) == (200, "close")


def test_broken_body_ends_the_connection(server: Server) -> None:
    with talking(server) as talk:
        talk.say(get("/echo", "Transfer-Encoding: chunked", method="PUT") + "zz\r\n")
        assert talk.is_over()
    with talking(server) as talk:
        talk.say(get("/x", "Transfer-Encoding: chunked", method="PUT") + "zz\r\n")
        assert talk.hear().headers["Connection"] == "close"
        assert talk.is_over()


# ---- slow clients


def test_silent_client_is_left(quick: Server) -> None:
    with talking(quick) as talk:
        assert talk.is_over()


def test_client_that_trickles_its_request_is_left(quick: Server) -> None:
    stop = threading.Event()
    with talking(quick) as talk:

        def trickle() -> None:
            for letter in get("/" + "x" * 10_000):
                if stop.wait(0.02):
                    return
                try:
                    talk.say(letter)
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        assert talk.is_over()
        stop.set()
        thread.join()


def test_half_a_request_behind_a_whole_one_is_left(quick: Server) -> None:
    with talking(quick) as talk:
        talk.say(get("/x") + "GET /y HT")
        assert talk.hear().body == b"GET /x"
        assert talk.is_over()


def test_client_that_takes_nothing_is_left(quick: Server) -> None:
    with talking(quick) as talk:
        talk.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        talk.say(get("/large"))
        wait_for(quick._open)
        wait_for(lambda: not quick._open(), seconds=20)


def test_client_that_goes_away_disturbs_nobody(server: Server) -> None:
    for _ in range(5):
        with talking(server) as talk:
            talk.say(get("/large"))
            talk.stream.read(1000)
    with talking(server) as talk:
        talk.say(get("/x"))
        assert talk.hear().body == b"GET /x"


# ---- many clients


def test_idle_connections_make_place_for_new_ones(site: Callable[[Request], Answer]) -> None:
    with running(site, limits=Limits(connections=2)) as server, ExitStack() as stack:
        talks = [stack.enter_context(talking(server)) for _ in range(6)]
        for talk in talks[2:]:
            talk.say(get("/x"))
            assert talk.hear().body == b"GET /x"
        assert talks[0].is_over()


def test_no_more_answers_at_once_than_the_ceiling() -> None:
    running_now, most, lock = 0, 0, threading.Lock()
    go = threading.Event()

    def answer(_: Request) -> Answer:
        nonlocal running_now, most
        with lock:
            running_now += 1
            most = max(most, running_now)
        go.wait(10)
        with lock:
            running_now -= 1
        return Answer(status=HTTPStatus.OK, body=b"x")

    with running(answer, limits=Limits(connections=3)) as server, ExitStack() as stack:
        talks = [stack.enter_context(talking(server)) for _ in range(9)]
        for talk in talks:
            talk.say(get("/x", "Connection: close"))
        while running_now < 3:
            go.wait(0.01)
        go.set()
        assert [talk.hear().body for talk in talks] == [b"x"] * 9
    assert most == 3


# ---- the end


def test_answer_under_way_is_finished_at_the_end(site: Callable[[Request], Answer]) -> None:
    server = Server(Listen(host="127.0.0.1", port=0), site)
    server.start()
    with talking(server) as busy, talking(server) as idle:
        idle.say(get("/x"))
        assert idle.hear().status == 200
        busy.say(get("/large"))
        head = busy.stream.read(100)
        ended: list[bool] = []
        thread = threading.Thread(target=lambda: ended.append(server.stop(seconds=20)))
        thread.start()
        assert idle.is_over()
        assert len(head + busy.stream.read()) > LARGE
        thread.join()
        assert ended == [True]


def test_answer_that_takes_too_long_is_cut_at_the_end(site: Callable[[Request], Answer]) -> None:
    server = Server(Listen(host="127.0.0.1", port=0), site)
    server.start()
    with talking(server) as busy:
        busy.say(get("/large"))
        busy.stream.read(100)
        assert server.stop(seconds=0.1) is False
        assert len(busy.stream.read()) < LARGE


# ---- TLS


@pytest.fixture
def secure(
    site: Callable[[Request], Answer], certificate: tuple[Path, ssl.SSLContext]
) -> Iterator[tuple[Server, ssl.SSLContext]]:
    from rke2pack.serving import tls  # noqa: PLC0415 - beside its use

    path, client = certificate
    context = tls.context(path, path)
    server = Server(Listen(host="127.0.0.1", port=0), site, tls=context, limits=QUICK)
    server.start()
    yield server, client
    server.stop(seconds=1)


def test_tls_carries_the_same(secure: tuple[Server, ssl.SSLContext]) -> None:
    server, client = secure
    with (
        socket.create_connection((server.listen.host, server.listen.port), timeout=20) as sock,
        client.wrap_socket(sock, server_hostname="127.0.0.1") as wrapped,
        wrapped.makefile("rb") as stream,
    ):
        assert wrapped.version() in {"TLSv1.2", "TLSv1.3"}
        talk = Talk(sock=wrapped, stream=stream)
        talk.say(get("/large") + get("/x", "Range: bytes=0-0") + get("/large", "Range: bytes=1-3"))
        assert talk.hear().body == bytes(LARGE)
        assert talk.hear().body == b"GET /x"
        assert (reply := talk.hear()).body == bytes(3)
        assert reply.status == 206


@pytest.mark.parametrize("said", ["", "\x16\x03\x01"])
def test_who_begins_no_tls_is_left(secure: tuple[Server, ssl.SSLContext], said: str) -> None:
    with talking(secure[0]) as talk:
        talk.say(said)
        assert talk.is_over()


def test_who_speaks_plain_http_to_tls_is_told(secure: tuple[Server, ssl.SSLContext]) -> None:
    with talking(secure[0]) as talk:
        talk.say(get("/x"))
        reply = talk.hear()
        assert (reply.status, reply.body) == (
            400,
            b"bad request: this server speaks TLS, use https\n",
        )
        assert talk.is_over()
