"""The examples in the documentation run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tests.builders.analyses import one_face_scan

ROOT = Path(__file__).parents[2]


def test_the_example_of_the_clustering_as_a_library_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "clustering.md").read_text(), re.DOTALL)
    near = np.zeros(128, dtype=np.float32)
    far = np.full(128, 0.2, dtype=np.float32)
    known = {"scans": [one_face_scan(0, near), one_face_scan(1, near + 0.01), one_face_scan(2, far)]}
    exec(compile(example, "docs/clustering.md", "exec"), known)
    clustering: object = known["clustering"]
    assert clustering.sizes() == {"face-0000": 2, "face-0002": 1}  # type: ignore[attr-defined]


def test_every_file_that_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
