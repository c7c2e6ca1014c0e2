"""The archives of the benchmarks are as hard as the real faces that they are made after."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


@pytest.mark.data
@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize(
    ("of", "within"),
    [("lfw_dev", None), ("lfw_dev_faded", None), ("archival_portraits", "lfw_dev_faded")],
)
def test_strangers_hubs_and_the_spread_within_a_person_are_within_a_factor_of_two(
    shared_data: Path, of: str, within: str | None
) -> None:
    embeddings = shared_data / "embeddings"
    options = ["--within", str(embeddings / f"{within}.npz")] if within else []
    sizes = ["10000"] if within else ["10000", "16000"]
    command = [sys.executable, "-m", "benchmarks.world", str(embeddings / f"{of}.npz"), "--json", *options]
    printed = subprocess.run([*command, "--faces", *sizes], cwd=_ROOT, check=True, capture_output=True, text=True)
    real, *made = map(json.loads, printed.stdout.splitlines())
    assert (real["of"], [one["faces"] for one in made]) == (of, list(map(int, sizes)))
    for one in made:
        pairs = [*zip(real["tail"], one["tail"], strict=True), (real["hubs"], one["hubs"])]
        if real["within"]:
            pairs += zip(real["within"], one["within"], strict=True)
        assert all(0.5 < ours / theirs < 2 for theirs, ours in pairs), (real, one)
