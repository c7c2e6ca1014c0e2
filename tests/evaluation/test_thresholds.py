"""The three eps of the thesis are chosen among those that were measured."""

from __future__ import annotations

from evaluation.measures import Measures, measure
from evaluation.thresholds import AtEps, best, three_eps

PEOPLE = ["ann", "ann", "ann", "bob", "bob"]
APART = measure(PEOPLE, ["1", "2", "3", "4", "5"])
SAFE = measure(PEOPLE, ["1", "1", "3", "4", "5"])
SAFER = measure(PEOPLE, ["1", "1", "3", "4", "4"])
MIXED = measure(PEOPLE, ["1", "1", "1", "1", "5"])
ALL = measure(PEOPLE, ["1", "1", "1", "1", "1"])


def at(*measures: Measures) -> list[AtEps]:
    return [AtEps(0.3 + number / 100, one) for number, one in enumerate(measures)]


def test_full_precision_is_the_eps_with_the_highest_recall_where_nobody_is_mixed() -> None:
    chosen = three_eps(at(APART, SAFE, SAFER, MIXED, ALL))
    assert chosen.full_precision is not None
    assert chosen.full_precision.measures is SAFER


def test_full_recall_is_the_eps_with_the_highest_precision_where_nobody_is_divided() -> None:
    right = measure(PEOPLE, ["1", "1", "1", "2", "2"])
    chosen = three_eps(at(SAFE, MIXED, ALL))
    assert chosen.full_recall is not None
    assert chosen.full_recall.measures is ALL
    chosen = three_eps(at(SAFE, right, ALL))
    assert chosen.full_recall is not None
    assert chosen.full_recall.measures is right


def test_balance_is_the_highest_adjusted_rand_index_and_the_smallest_eps_of_equal_ones() -> None:
    measured = at(APART, SAFER, SAFER, ALL)
    assert three_eps(measured).balance is measured[1]
    assert best(measured, "pair_recall") is measured[3]


def test_what_no_eps_reaches_is_none() -> None:
    chosen = three_eps(at(MIXED))
    assert chosen.full_precision is None
    assert chosen.full_recall is None
    assert chosen.balance.measures is MIXED
