"""CONTRIBUTING.md names files that exist, and draws the layers that import-linter checks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_CONTRIBUTING = (_ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
_ARCHITECTURE = (_ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def table_rows() -> list[str]:
    section = _CONTRIBUTING.partition("## Where to change what")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ")][1:]


def picture(text: str) -> str:
    """The first box that is drawn, without what stands beside it."""
    return "\n".join(line.strip() for line in text[text.index("┌") : text.index("┘") + 1].splitlines())


def test_the_table_of_changes_names_files_that_exist() -> None:
    rows = table_rows()
    assert len(rows) >= 20
    for row in rows:
        paths = re.findall(r"`([\w/.]+/[\w/.]*)`", row)
        assert paths, row
        assert [path for path in paths if not (_ROOT / path).exists()] == []


def test_every_path_in_the_text_exists() -> None:
    paths = set(re.findall(r"`((?:[\w-]+/)+[\w.-]+\.(?:py|sql|md|xml|properties))`", _CONTRIBUTING + _ARCHITECTURE))
    assert len(paths) > 30
    assert sorted(path for path in paths if not (_ROOT / path).exists()) == []


def test_both_documents_draw_the_same_layers() -> None:
    assert picture(_CONTRIBUTING)
    assert picture(_CONTRIBUTING) == picture(_ARCHITECTURE)


def test_the_layers_that_are_drawn_are_those_that_are_checked() -> None:
    config = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = next(it for it in config["tool"]["importlinter"]["contracts"] if it["type"] == "layers")
    levels = re.split(r"├.*┤", picture(_CONTRIBUTING))
    packages = set(config["tool"]["importlinter"]["root_packages"])
    drawn = [set(re.findall(r"│ (\w+)", level)) & packages for level in levels]
    assert drawn == [{name.strip() for name in layer.split("|")} for layer in contract["layers"]]
