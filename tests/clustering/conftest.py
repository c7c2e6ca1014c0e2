"""The tests of this folder have distances around 1, of which the constants for embeddings would make nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clustering import labelling
from clustering.certainty import Curve
from tests.builders.oracle_decisions import MIDDLE, WIDTH


@pytest.fixture(autouse=True, scope="module")
def curve_for_wide_distances() -> Iterator[None]:
    """Neighbours are one person with probabilities from 0.9 at 0.9 to 0.01 at 4."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labelling, "EUCLIDEAN", Curve(MIDDLE, WIDTH))
        yield
