"""Every command and every setting is documented, and nothing that is no more. Metrics: tests/deploy/test_metrics.py."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from cli.commands import COMMANDS
from settings import Settings
from settings.documented import page

_ROOT = Path(__file__).parents[2]
_README = (_ROOT / "README.md").read_text(encoding="utf-8")
_PAGES = [_ROOT / "README.md", _ROOT / "CONTRIBUTING.md", *sorted((_ROOT / "docs").glob("*.md"))]
_CONFIG = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
_PACKAGES = _CONFIG["tool"]["importlinter"]["root_packages"]
_PROGRAM = [path for package in _PACKAGES for path in sorted((_ROOT / package).rglob("*.py"))]


def settings() -> Iterator[str]:
    """The environment variable of each setting."""
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from (f"FACESTREAM_{name}__{below}".upper() for below in kind.model_fields)
        else:
            yield f"FACESTREAM_{name}".upper()


def listed_settings() -> list[str]:
    text = (_ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `(FACESTREAM_\w+)` \|", text, re.MULTILINE)


def listed_commands() -> set[str]:
    """The first words of what stands as code in the first column of the README's table of commands."""
    table = _README.partition("## Commands")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([a-z][\w-]*)", row)}


def test_the_page_of_settings_is_that_of_the_code() -> None:
    """Write it again after a change that is meant: `make contract`."""
    assert (_ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == page()


def test_every_setting_is_documented_once() -> None:
    listed = listed_settings()
    assert len(listed) == len(set(listed)) > 50
    assert set(settings()) <= set(listed)


def test_every_variable_that_code_or_documents_name_is_a_setting() -> None:
    named = {
        name
        for path in [*_PAGES, *_PROGRAM]
        for name in re.findall(r"FACESTREAM_[A-Z0-9_]*[A-Z0-9]\b(?!_)", path.read_text(encoding="utf-8"))
    }
    # A group as a whole, which one variable with JSON sets.
    groups = {f"FACESTREAM_{name}".upper() for name in Settings.model_fields}
    assert len(named) > 40
    assert named - set(listed_settings()) - groups == set()


def test_every_command_is_in_the_list_of_the_readme_and_no_other() -> None:
    assert listed_commands() == set(COMMANDS)


def test_every_command_below_another_is_documented() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in _PAGES)
    below = [f"{entry.name} {name}" for entry in COMMANDS.values() for name in entry.commands]
    assert len(below) > 5
    assert [command for command in below if not re.search(rf"\b{command}\b", text)] == []
