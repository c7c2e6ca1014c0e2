"""The parameters of a clustering."""

from __future__ import annotations

import math
from dataclasses import dataclass

from schemas import defaults


@dataclass(frozen=True)
class Parameters:
    """DBSCAN's parameters (Ester et al. 1996, definitions 1 and 2) and three rules of evidence, all off by default.

    eps: distance up to which two faces are neighbours, eps itself included.
    min_samples: how many faces a neighbourhood must hold for its face to be core, the face itself included (as in
        scikit-learn). With 1 every face is core and a lone face is a cluster of its own.
    min_size_px, min_score, min_sharpness: a face below one of these may be a border, never core, so that a blurred
        face cannot chain two people together. Units as in `schemas.faces`. None: no such gate.
    same_scan_eps: two faces of one scan are neighbours only up to this distance, because a person appears once in a
        photo. None: such pairs count like all others. That is the default for two reasons: the result then is
        DBSCAN's and nothing else, and an archive scan is often an album page or a contact sheet, where one person
        does appear many times. Set it for collections that hold single photos only.
    shared_weight, reach, most_neighbours: evidence from shared neighbours, see `clustering.shared_neighbours`. With a
        weight of 0 there is none, the result is DBSCAN's, and the other two are None.
    reference: the name of the reference that the distances are calibrated with (`calibration.reference`); None:
        Euclidean distances. Edges of records with another one are not used.
    embedder: the one whose embeddings are compared, None for dlib's published one; as in `neighbours`. Edges of records
        with another one are not used.
    unit: how many times as long Euclidean distances are as those of dlib's embedder that mean the same.
    """

    eps: float = defaults.EPS
    min_samples: int = defaults.MIN_SAMPLES
    min_size_px: float | None = None
    min_score: float | None = None
    min_sharpness: float | None = None
    same_scan_eps: float | None = None
    shared_weight: float = 0.0
    reach: float | None = None
    most_neighbours: int | None = None
    reference: str | None = None
    embedder: str | None = None
    unit: float = 1.0

    @property
    def measure(self) -> str | None:
        """What distances are measured by, see schemas.neighbours."""
        return self.embedder if self.reference is None else self.reference

    @property
    def shares_neighbours(self) -> bool:
        """Whether evidence from shared neighbours counts."""
        return self.shared_weight > 0

    @property
    def reach_or_eps(self) -> float:
        """The distance up to which edges make a difference."""
        return self.reach if self.reach is not None else self.eps

    def __post_init__(self) -> None:
        """Raises ValueError when a value is out of range."""
        if not (self.eps > 0 and math.isfinite(self.eps)):
            raise ValueError(f"eps must be a number larger than 0, not {self.eps}")
        if self.min_samples < 1:
            raise ValueError(f"min_samples counts the face itself, so it is at least 1, not {self.min_samples}")
        if self.same_scan_eps is not None and not self.same_scan_eps >= 0:
            raise ValueError(f"same_scan_eps must not be negative, but is {self.same_scan_eps}")
        if not self.shared_weight >= 0:
            raise ValueError(f"shared_weight must not be negative, but is {self.shared_weight}")
        if self.shares_neighbours != (self.reach is not None):
            raise ValueError("shared_weight and reach are given together: neighbours within reach are compared")
        if self.reach is not None and not self.reach >= self.eps:
            raise ValueError(f"reach {self.reach} is smaller than eps {self.eps}")
        if self.most_neighbours is not None and not (self.shares_neighbours and self.most_neighbours >= 1):
            raise ValueError("most_neighbours belongs to shared_weight, and is at least 1")
