"""Every column of the graph's tables is written by its owner only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import clustering
from clustering.nodes import Edges, Nodes, Scans

_FILES = sorted(Path(clustering.__path__[0]).glob("*.py"))
_OWNER = {
    column: owner for table in (Nodes, Edges, Scans) for owner, columns in table.by_owner.items() for column in columns
}


def written_columns(source: str) -> Iterator[str]:
    """The attributes into whose items a module writes, or that it gives a name by which it could.

    Seen are `x.column[...] = `, the same as `+=` or within a tuple, `np.add.at(x.column, ...)` and `y = x.column`.
    """
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Attribute)
        ):
            yield node.value.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "at":
            yield from (argument.attr for argument in node.args[:1] if isinstance(argument, ast.Attribute))
        elif isinstance(node, ast.Assign):
            value, target = node.value, node.targets[0]
            values = value.elts if isinstance(value, ast.Tuple) and isinstance(target, ast.Tuple) else [value]
            yield from (value.attr for value in values if isinstance(value, ast.Attribute))


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_a_module_writes_only_the_columns_that_it_owns(path: Path) -> None:
    written = {column for column in written_columns(path.read_text()) if column in _OWNER}
    assert {column for column in written if _OWNER[column] != path.stem} == set()


def test_every_owner_is_a_module_and_every_column_is_declared() -> None:
    assert set(_OWNER.values()) <= {path.stem for path in _FILES}
    for table in (Nodes, Edges, Scans):
        assert table.columns.keys() == table.__annotations__.keys() - {"by_owner", "columns", "derived"}
        assert table.derived <= table.columns.keys()


@pytest.mark.parametrize(
    "statement",
    [
        "graph.nodes.core[lost] = False",
        "nodes.count[ends], y = 1, 2",
        "nodes.count[ends] += 1",
        "np.add.at(nodes.count, ends, 1)",
        "count = nodes.count",
        "core, count = nodes.core, nodes.count",
    ],
)
def test_the_check_sees_a_write_in_every_form(statement: str) -> None:
    assert {"core", "count"} & set(written_columns(statement))


def test_the_check_lets_reading_pass() -> None:
    assert not set(written_columns("x = nodes.core[a] & (nodes.count[a] > 1)")) & {"core", "count"}
