"""Figures of the thesis (J. A. van Gent, University of Tartu, 2018) that ours are shown beside.

Measured there on photographs of the National Archives of Estonia. Only these of its tables are known here; whatever is
not is None, and shown as a dash.
"""

from __future__ import annotations

from dataclasses import dataclass

FACES = 5170
"""Faces that the thesis clustered at once."""


@dataclass(frozen=True)
class Table1Row:
    """Table 1: DBSCAN (min_samples 1) by Euclidean distance, at one of the three eps."""

    eps: float
    chosen_for: str
    ari: float | None = None
    ami: float | None = None
    v_measure: float | None = None


TABLE_1 = (
    Table1Row(0.31, "full precision"),
    Table1Row(0.37, "balance", ari=0.697, ami=0.726, v_measure=0.862),
    Table1Row(0.44, "full recall"),
)


@dataclass(frozen=True)
class StageFigures:
    """Tables 2 to 5: one stage. average_ms: of one scan or face; total_s: of all that there were."""

    average_ms: float | None = None
    total_s: float | None = None
    device: str | None = None


STAGES = {
    "detection": StageFigures(average_ms=37.4, device="gpu"),
    "embedding": StageFigures(average_ms=6.5, device="gpu"),
    "clustering": StageFigures(total_s=26.0, device="cpu"),
}
"""By the name of our stage. The clustering is scikit-learn's DBSCAN of FACES faces."""
