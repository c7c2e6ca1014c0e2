"""`facestream run` for whoever has no scans: the sample archive, held against its known truth."""

from __future__ import annotations

import json
from pathlib import Path

from tests.builders.commands import facestream


def test_without_scans_the_sample_archive_is_run_and_held_against_its_truth(tmp_path: Path) -> None:
    done = facestream("run", "--data", tmp_path, "--upsample", "0", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["scans"] == summary["analysed"] >= 28
    assert summary["truth"].endswith("2 of 2 people each in one cluster, 0 mixed clusters")
    found, _, faces = summary["truth"].split(" faces found")[0].split(" ")
    assert int(found) >= int(faces) - 1
