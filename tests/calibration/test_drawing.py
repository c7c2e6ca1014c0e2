"""How a reference is drawn: without labels, each person once, whatever the order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from calibration.drawing import FEWEST_FACES, SMALL_ARCHIVE, draw, sample
from tests.builders.analyses import album

_ROOT = Path(__file__).parents[2]


def test_a_bank_holds_each_person_about_once_though_most_have_several_faces() -> None:
    faces = album(1_500, a_person=3)
    person_of = {vector.tobytes(): name for vector, name in zip(faces.vectors, faces.names, strict=True)}
    order = np.random.default_rng(0).permutation(len(faces.vectors))
    drawn = draw(faces.vectors[order])
    for bank in drawn.banks:
        assert len(bank) >= 320
        assert len({person_of[vector.tobytes()] for vector in bank}) > 0.95 * len(bank)


def test_the_sample_and_so_the_reference_do_not_depend_on_the_order_of_the_faces() -> None:
    vectors = album(400, a_person=1).vectors
    face_ids = [f"face-{number}" for number in range(400)]
    order = np.random.default_rng(3).permutation(400)
    shuffled = sample([face_ids[position] for position in order])
    assert draw(vectors[sample(face_ids)]).name == draw(vectors[order][shuffled]).name
    assert sample(face_ids, 10).tolist() == sample(face_ids)[:10].tolist()


def test_a_larger_archive_has_a_stricter_level_and_no_other_difference() -> None:
    vectors = album(400, a_person=1).vectors
    small, large = draw(vectors, SMALL_ARCHIVE), draw(vectors, round(SMALL_ARCHIVE * np.e**2))
    assert small.level == draw(vectors).level
    assert large.level == pytest.approx(small.level - 8 / 3 * small.slope, abs=1e-5)
    assert (large.banks[0] == small.banks[0]).all()


def test_few_faces_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 300 faces, not 299"):
        draw(album(FEWEST_FACES - 1, 1).vectors)


def test_few_people_are_refused_however_many_faces_they_have() -> None:
    with pytest.raises(ValueError, match=r"too few people: 1\.2% of the pairs of faces look like one person"):
        draw(album(400, a_person=6).vectors)


@pytest.mark.slow
def test_the_clusters_of_half_of_the_photographs_are_as_good_as_is_documented(
    shared_data: Path, tmp_path: Path
) -> None:
    """benchmarks.quality on the faces of every other person; docs/clustering.md has the figures of all."""
    with np.load(shared_data / "embeddings" / "lfw_dev.npz") as whole:
        vectors, names = whole["E"], whole["F"]
    people = np.unique([str(name).split("/")[0] for name in names], return_inverse=True)[1]
    some = people % 2 == 0
    np.savez(tmp_path / "half.npz", E=vectors[some], F=names[some])
    command = [sys.executable, "-m", "benchmarks.quality", str(tmp_path / "half.npz"), "--json"]
    done = subprocess.run(command, cwd=_ROOT, env=_by_default(), capture_output=True, text=True, check=True)
    ours, *others = map(json.loads, done.stdout.splitlines())
    (fixed,) = [row for row in others if row["threshold"] == 0.37]
    assert (ours["rule"], fixed["rule"]) == ("default", "dbscan")
    assert ours["precision"] > 0.95
    assert ours["f"] > 0.9 > fixed["f"]
    assert ours["edges_per_face"] <= 64


def _by_default() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("FACESTREAM_")}
