"""What is locked in requirements/ is what pyproject.toml asks for. No network is needed to know."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = Path(__file__).parents[2]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text())
_PRODUCT = _PROJECT["project"]["dependencies"]
_GROUPS = _PROJECT["dependency-groups"]

ASKED = {
    "product": _PRODUCT,
    "dev": [*_PRODUCT, *_GROUPS["dev"], *_GROUPS["sample"]],
    "gpu": _GROUPS["gpu"],
    "build": [*_GROUPS["build"], *_PROJECT["build-system"]["requires"]],
}


def locked(name: str) -> list[Requirement]:
    lines = (_ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    return [Requirement(line.removesuffix("\\")) for line in lines if line and line[0] not in " #"]


def meets(pin: Requirement, asked: Requirement) -> bool:
    (version,) = pin.specifier
    return version.operator == "==" and asked.specifier.contains(version.version) and asked.extras <= pin.extras


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_for_is_locked_at_a_version_that_is_allowed(name: str) -> None:
    """If not, `make lock` is due."""
    pins = locked(name)
    for asked in map(Requirement, ASKED[name]):
        found = [pin for pin in pins if canonicalize_name(pin.name) == canonicalize_name(asked.name)]
        assert found, f"{asked} is not in requirements/{name}.txt: make lock"
        for pin in found:
            assert meets(pin, asked), f"requirements/{name}.txt has {pin}, pyproject.toml asks for {asked}: make lock"


@pytest.mark.parametrize("name", ASKED)
def test_everything_locked_has_hashes_and_says_nothing_of_where_it_came_from(name: str) -> None:
    text = (_ROOT / "requirements" / f"{name}.txt").read_text()
    assert text.count(" \\\n    --hash=sha256:") >= len(locked(name))
    assert "://" not in text
    assert not [line for line in text.splitlines() if line.startswith("-")]


def test_the_product_is_developed_with_what_it_is_shipped_with() -> None:
    product, dev = ({(pin.name, str(pin.specifier)) for pin in locked(name)} for name in ("product", "dev"))
    assert product <= dev
