"""Every exception class of the project derives from FacestreamError, and the tree in `errors` shows all of them."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest

import errors
from errors import FacestreamError

_ROOT = Path(__file__).parents[2]

# Not reported to a person, so they need no base class in common.
_NOT_REPORTED = {
    "decisions.conflicts.AlreadyHolds": "control flow: the command prints that nothing changes, and succeeds",
    "cli.streams.OutputFailed": "not caught by those who report errors, since it may be about nothing to report",
    "stream.clients.NoAnswer": "an error of kafka-python's, of a call that was given up: `stream` makes a Fatal of it",
    "web.problems.NotThere": "an answer of the desk: the page that something is not there",
    "models.stores.deadline.DeadlinePassed": "caught by models.stores.stores, which raises a StoreUnavailable",
    "models.dlib_stream.Unexpected": "caught by models.dlib_file, which raises a WeightsError that names the file",
}


def exception_classes() -> set[type[BaseException]]:
    """All exception classes that the project's packages define."""
    packages = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    classes: set[type[BaseException]] = set()
    for package in packages:
        folder = _ROOT.joinpath(*package.split("."))
        for path in sorted(folder.glob("*.py")):
            name = package if path.stem == "__init__" else f"{package}.{path.stem}"
            module = importlib.import_module(name)
            defined = (value for value in vars(module).values() if getattr(value, "__module__", None) == name)
            classes |= {value for value in defined if isinstance(value, type) and issubclass(value, BaseException)}
    return classes


def drawn_tree() -> set[tuple[str, str | None, str]]:
    """The tree in the docstring of `errors`: module, base and name of each class."""
    tree: set[tuple[str, str | None, str]] = set()
    bases: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^    ((?:[│ ]   )*)(?:[├└]── )?([A-Z]\w+)(?:\s{2,}(?:([a-z_]+(?:\.[a-z_]+)+): )?.*)?$", line)
        if match is None:
            continue
        depth = len(match[1]) // 4 + 1 if "── " in line else 0
        bases[depth:] = [match[2]]
        tree.add((match[3] or "errors", bases[depth - 1] if depth else None, match[2]))
    return tree


def full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


@pytest.fixture(scope="module")
def classes() -> set[type[BaseException]]:
    return exception_classes()


def test_every_exception_derives_from_the_base_class(classes: set[type[BaseException]]) -> None:
    others = {full_name(kind) for kind in classes if not issubclass(kind, FacestreamError)}
    assert others == set(_NOT_REPORTED)


def test_the_drawn_tree_is_that_of_the_classes(classes: set[type[BaseException]]) -> None:
    reported = {kind for kind in classes if issubclass(kind, FacestreamError)}
    assert len(reported) > 10
    assert drawn_tree() == {
        (kind.__module__, None if kind is FacestreamError else kind.__bases__[0].__name__, kind.__name__)
        for kind in reported
    }
