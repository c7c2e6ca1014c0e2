"""The example in the documentation runs and prints what is written there."""

from __future__ import annotations

import doctest
from pathlib import Path

_DOCS = Path(__file__).parents[2] / "docs"


def test_the_example_of_use_as_a_library_prints_what_is_written_there() -> None:
    outcome = doctest.testfile(str(_DOCS / "clustering.md"), module_relative=False)
    assert outcome.attempted > 5
    assert outcome.failed == 0
