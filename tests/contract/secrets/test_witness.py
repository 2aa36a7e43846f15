"""The witness sees a secret wherever it is, so that silence means something."""

from __future__ import annotations

import base64
import gzip
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from tests.contract.secrets import witness
from tests.contract.secrets.witness import CANARY

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@pytest.mark.parametrize("user", ["", "u", "us", "user"])
def test_base64_hides_nothing(user: str) -> None:
    text = base64.b64encode(f"{user}:{CANARY}:more".encode()).decode()
    assert witness.told([f"Authorization: Basic {text}"], [CANARY])
    assert not witness.told([base64.b64encode(b"another pass word").decode()], [CANARY])


@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, zlib.compress, zstd.compress, lambda data: data.hex().encode()],
    ids=["plain", "gzip", "zlib", "zstd", "hex"],
)
def test_compression_hides_nothing(pack: object, tmp_path: Path) -> None:
    assert callable(pack)
    path = tmp_path / "a/b"
    path.parent.mkdir()
    path.write_bytes(pack(b"words before " + CANARY.encode() + b" words after"))
    texts = [text for _, text in witness.written([tmp_path], set())]
    assert witness.told(texts, [CANARY])
    assert list(witness.written([tmp_path], {path})) == []


def test_name_of_a_file_counts(tmp_path: Path) -> None:
    (tmp_path / CANARY).touch()
    assert witness.told((text for _, text in witness.written([tmp_path], set())), [CANARY])


def test_arguments_of_programs_are_heard() -> None:
    witness.started.clear()
    subprocess.run(["true", CANARY], check=True)
    assert witness.told(witness.started, [CANARY])
