"""Rows are numbered in 32 bits. Those beyond are refused: they would be confused with others."""

from __future__ import annotations

import numpy as np
import pytest

from clustering.columns.lists import Lists
from clustering.columns.tables import LARGEST_ROW
from clustering.nodes import Edges
from errors import Fatal


def test_an_edge_beyond_the_largest_row_is_refused_in_one_line() -> None:
    edges = Edges()
    edges.used = LARGEST_ROW
    with pytest.raises(Fatal, match=r"one clustering holds at most 2,147,483,648 edges: make eps_max smaller"):
        edges.take(2)
    assert edges.used == LARGEST_ROW


def test_a_list_refuses_a_value_that_would_wrap_around() -> None:
    lists = Lists()
    lists.ensure(1)
    lists.append(np.array([0]), np.array([LARGEST_ROW]))
    with pytest.raises(ValueError, match="not 2,147,483,648"):
        lists.append(np.array([0]), np.array([LARGEST_ROW + 1]))
    assert lists.read(np.array([0]))[1].tolist() == [LARGEST_ROW]
