"""Blobs of a simulated registry: sent whole, in parts or broken, and taken in."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rke2pack.digest import Digest
from tests.contract.oci.connection import Connection

_RANGE = re.compile(r"bytes=(\d+)-\Z")
_PIECE = 1024


class BlobExchange(Connection):
    """A request for a blob, or with one."""

    def stored_blob(self, repository: str, digest: Digest) -> None:
        data = self.simulator.blobs.get((repository, digest))
        if data is None:
            self.fail(404, "BLOB_UNKNOWN")
        elif self.simulator.redirect and self.command == "GET":
            place = f"{self.simulator.redirect}/storage/{repository}/{digest}?signature=secret"
            self.send(307, b"moved", {"Location": place})
        else:
            self.blob(data, digest)

    def blob(self, data: bytes, digest: Digest) -> None:
        simulator = self.simulator
        body = simulator.bodies.get(digest, data)
        start, status, headers = 0, 200, {"Docker-Content-Digest": str(digest)}
        asked = _RANGE.match(self.headers.get("Range", ""))
        if asked and simulator.range_mode == "refuse":
            self.send(416, b"")
            return
        if asked and simulator.range_mode != "ignore":
            start, status = int(asked[1]), 206
            first = start if simulator.range_mode == "honour" else start - 1
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
        body = body[start:]
        with simulator.lock:
            cuts = simulator.resets.get(digest, [])
            cut = cuts.pop(0) if cuts and self.command == "GET" else None
        self._send_body(status, body, headers, cut, simulator.silence.get(digest, 0.0))

    def _send_body(
        self, status: int, body: bytes, headers: dict[str, str], cut: int | None, silence: float
    ) -> None:
        framing = self.simulator.framing
        if framing == "length" or self.command == "HEAD":
            headers["Content-Length"] = str(len(body))
        elif framing == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Connection"] = "close"
        self.head(status, headers)
        if self.command == "HEAD":
            return
        if framing == "close":
            self.close_connection = True
        sent = body if cut is None else body[:cut]
        for begin in range(0, len(sent), _PIECE * 64) if not silence else (0,):
            piece = sent[begin : begin + _PIECE * 64]
            if silence:
                self.wfile.write(piece[: len(piece) // 2])
                self.simulator.stop.wait(silence)
                piece = piece[len(piece) // 2 :]
            framed = f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
            self.wfile.write(framed if framing == "chunked" else piece)
        if cut is not None:
            self.reset()
        elif framing == "chunked":
            self.wfile.write(b"0\r\n\r\n")

    def upload(self, repository: str, name: str, query: Mapping[str, list[str]]) -> None:
        match self.command:
            case "POST":
                self._open_upload(repository, query)
            case "DELETE" if name in self.simulator.uploads:
                del self.simulator.uploads[name]
                self.send(204, b"")
            case "PATCH" | "PUT" if self.simulator.lost_uploads:
                self.simulator.lost_uploads -= 1
                self.simulator.uploads.pop(name, None)
                self.drain()
                self.fail(404, "BLOB_UPLOAD_UNKNOWN")
            case "GET" if name in self.simulator.uploads:
                self.send(204, b"", self._state(repository, name))
            case "PATCH" | "PUT" if name in self.simulator.uploads:
                self._take(repository, name, query)
            case _:
                self.drain()
                self.fail(404, "BLOB_UPLOAD_UNKNOWN")

    def _open_upload(self, repository: str, query: Mapping[str, list[str]]) -> None:
        simulator = self.simulator
        self.drain()
        if "mount" in query and simulator.has_mount:
            digest = Digest.parse(query["mount"][0])
            data = simulator.blobs.get((query["from"][0], digest))
            if data is not None:
                simulator.blobs[repository, digest] = data
                self.send(201, b"", {"Docker-Content-Digest": str(digest)})
                return
        with simulator.lock:
            name = f"upload-{simulator.opened}"
            simulator.opened += 1
        simulator.uploads[name] = bytearray()
        self.send(202, b"", self._state(repository, name))

    def _state(self, repository: str, name: str) -> dict[str, str]:
        has = len(self.simulator.uploads[name])
        return {
            "Location": f"/v2/{repository}/blobs/uploads/{name}?state={has}",
            "Range": f"0-{max(0, has - 1)}",
        }

    def _take(self, repository: str, name: str, query: Mapping[str, list[str]]) -> None:
        simulator, kept = self.simulator, self.simulator.uploads[name]
        length = int(self.headers.get("Content-Length") or 0)
        said = self.headers.get("Content-Range", f"{len(kept)}-").partition("-")[0]
        if length and int(said) != len(kept):
            self.drain()
            self.send(416, b"", self._state(repository, name))
            return
        if length and simulator.upload_resets:
            kept += self.rfile.read(min(simulator.upload_resets.pop(0), length))
            self.reset()
            return
        kept += self.rfile.read(length)
        if self.command == "PATCH":
            self.send(202, b"", self._state(repository, name))
            return
        digest = Digest.parse(query["digest"][0])
        if Digest.of(bytes(kept)) != digest:
            self.fail(400, "DIGEST_INVALID")
            return
        simulator.blobs[repository, digest] = bytes(simulator.uploads.pop(name))
        simulator.stop.wait(simulator.closing_silence)
        if simulator.lost_answers:
            simulator.lost_answers -= 1
            self.reset()
            return
        self.send(201, b"", {"Docker-Content-Digest": str(digest)})
