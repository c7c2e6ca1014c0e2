"""ONNX Runtime sends no telemetry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="where the device id is kept is known for Linux only")
def test_the_engine_writes_no_device_id_and_no_session(tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    environment = os.environ | {"HOME": str(home), "TMPDIR": str(temporary)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    environment.pop("XDG_CACHE_HOME", None)
    command = [sys.executable, "-c", "import models.onnx_engine"]
    subprocess.run(command, env=environment, cwd=Path(__file__).parents[2], check=True)
    assert [*home.rglob("*"), *temporary.rglob("*")] == []
