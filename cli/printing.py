"""How what the catalogue answers is printed: JSON for programs, figures in tables for people."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def print_json(found: Iterable[DataclassInstance]) -> None:
    """One object a line; times as ISO 8601, other numbers than whole ones to six places."""
    for it in found:
        values = asdict(it)
        line = {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()}
        print(json.dumps(line, default=str))  # noqa: T201 - standard output is the result


def figure(value: float | None, digits: int = 3) -> str:
    """A number in a table; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"
