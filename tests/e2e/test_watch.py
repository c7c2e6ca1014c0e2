"""A folder that is watched."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.clock import wait_until
from tests.builders.commands import facestream

pytestmark = pytest.mark.process


@pytest.mark.broker
@pytest.mark.database
@pytest.mark.weights
def test_what_is_put_into_a_watched_folder_is_clustered(sample: Path, tmp_path: Path) -> None:
    prints = [sample / "prints" / name for name in ("hopper_01.jpg", "hopper_02.jpg")]
    folder, data = tmp_path / "incoming", tmp_path / "data"
    folder.mkdir()
    shutil.copy(prints[0], folder)
    command = [sys.executable, "-m", "cli.main", "watch", str(folder), "--data", str(data), "--upsample", "0", "--json"]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for_faces(data, 1)
        shutil.copy(prints[1], folder)
        wait_for_faces(data, 2)
    finally:
        watching.send_signal(signal.SIGINT)
        out, err = watching.communicate(timeout=60)
    assert watching.returncode == 0, err
    summary = json.loads(out)
    assert (summary["scans"], summary["faces"], summary["waiting"]) == (2, 2, 0)


def test_a_missing_folder_is_reported_before_anything_is_started(tmp_path: Path) -> None:
    refused = facestream("watch", tmp_path / "nowhere", "--data", tmp_path / "data")
    assert refused.returncode == 1
    assert refused.stderr == f"facestream: {tmp_path / 'nowhere'}: no such folder to watch\n"
    assert not (tmp_path / "data").exists()


def wait_for_faces(data: Path, faces: int) -> None:
    """Ask the running system, as a person would from a second terminal."""

    def are_there() -> bool:
        if not (data / "services.json").exists():
            return False
        asked = facestream("status", "--data", data, "--json")
        return asked.returncode == 0 and json.loads(asked.stdout)["faces"] >= faces

    wait_until(are_there, f"{faces} faces did not come", within_s=90, every_s=0.5)
