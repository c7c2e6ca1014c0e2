"""Where things stand in the tests: what more than one module uses is in `tests.builders` or in a conftest."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_FILES = sorted((_ROOT / "tests").rglob("*.py"))


def imported_modules(path: Path) -> Iterator[str]:
    """Every module that a file may import, `from package import module` included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_of_one_module_only(module: str) -> bool:
    """Test modules and conftests: nobody else is to import from them."""
    package, _, name = module.rpartition(".")
    return (package == "tests" or package.startswith("tests.")) and (name.startswith("test_") or name == "conftest")


def test_nothing_is_imported_from_a_test_module_or_a_conftest() -> None:
    assert len(_FILES) > 50
    found = {str(path.relative_to(_ROOT)): [*filter(is_of_one_module_only, imported_modules(path))] for path in _FILES}
    assert {path: modules for path, modules in found.items() if modules} == {}


def test_an_import_from_a_test_module_is_seen_in_either_form(tmp_path: Path) -> None:
    path = tmp_path / "test_another.py"
    path.write_text(
        "from tests.index.test_entries import points\nfrom tests.index import test_entries\nimport tests.conftest\n"
    )
    assert [*filter(is_of_one_module_only, imported_modules(path))] == [
        "tests.index.test_entries",
        "tests.index.test_entries",
        "tests.conftest",
    ]
