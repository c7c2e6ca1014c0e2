"""The clustering at several eps beside what is known, and the three eps that the thesis names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.measures import Measures


@dataclass(frozen=True)
class AtEps:
    """The measures of the clustering at one eps."""

    eps: float
    measures: Measures


@dataclass(frozen=True)
class ThreeEps:
    """The three eps of the thesis, among those that were measured.

    full_precision: no two people are together, with the highest recall of pairs. full_recall: no person is in two
    clusters, with the highest precision. None where there is no such one. balance: the highest adjusted Rand index.
    Of equal ones, the smallest eps.
    """

    full_precision: AtEps | None
    balance: AtEps
    full_recall: AtEps | None


def three_eps(measured: Sequence[AtEps]) -> ThreeEps:
    """The three eps. `measured` has one entry at least."""
    precise = [it for it in measured if it.measures.pair_precision == 1]
    complete = [it for it in measured if it.measures.pair_recall == 1]
    return ThreeEps(
        full_precision=max(precise, key=lambda it: (it.measures.pair_recall, -it.eps), default=None),
        balance=max(measured, key=lambda it: (it.measures.ari, -it.eps)),
        full_recall=max(complete, key=lambda it: (it.measures.pair_precision, -it.eps), default=None),
    )


def best(measured: Sequence[AtEps], name: str) -> AtEps:
    """The entry that has most of a measure; of equal ones, that of the smallest eps."""
    return max(measured, key=lambda it: (getattr(it.measures, name), -it.eps))
