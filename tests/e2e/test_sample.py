"""`facestream run` without scans: the sample archive, compared with its known truth."""

from __future__ import annotations

from tests.builders.commands import Finished


def test_without_scans_the_sample_archive_is_run_and_held_against_its_truth(sample_run: Finished) -> None:
    summary = sample_run.summary
    assert summary["scans"] == summary["analysed"] >= 28
    assert summary["truth"].endswith("2 of 2 people each in one cluster, 0 mixed clusters")
    found, _, faces = summary["truth"].split(" faces found")[0].split(" ")
    assert int(found) >= int(faces) - 1
