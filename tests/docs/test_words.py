"""Code and docs use the words of docs/glossary.md, and not those that it replaced."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PACKAGES = [
    *(
        "benchmarks",
        "catalogue",
        "cli",
        "clustering",
        "consumers",
        "decisions",
        "deploy",
        "docs",
        "erasure",
        "errors",
        "evaluation",
    ),
    *("evaluation", "index", "local", "models", "producers", "sample", "schemas", "settings", "stream", "tests", "web"),
]

_REPLACED = re.compile(
    r"\b(said|told|tells?|anew|held against|gave way|gives? way|pass(?:ed|es) over|(?:cannot|can|could) be had|"
    r"died|born|forgotten|forgets|lanes?|taken back|takes? back|opened step|rooms?|comes to be|has to say)\b",
    re.IGNORECASE,
)

# What is left on purpose: the word, where, and why.
_LEFT = (
    ("said", "index/snapshot.py", "a key of the manifest of snapshots, format 1"),
    ("said", "tests/index/test_snapshot.py", "the same key"),
    ("taken back", "docs/architecture.md", "the event NameTakenBack"),
    ("taken back", "docs/glossary.md", "the event NameTakenBack"),
    ("tell", "local/child.py", "a method of Python's files"),
    ("tell", "models/stores/files.py", "the same method"),
    ("tell", "models/stores/http.py", "the same method"),
    ("tell", "models/stores/others.py", "the same method"),
    ("room", "deploy/kafka/server.properties", "space"),
    ("room", "docs/site.css", "space"),
    ("room", "models/dlib_engine.py", "space"),
)


def _files() -> list[Path]:
    found = [path for package in _PACKAGES for path in sorted((_ROOT / package).rglob("*"))]
    kinds = {".py", ".md", ".sql", ".sh", ".properties", ".css"}
    texts = [path for path in found if path.suffix in kinds and path != Path(__file__).resolve()]
    return [*texts, *(_ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile"))]


def _is_left(path: Path, word: str) -> bool:
    name = str(path.relative_to(_ROOT))
    return any(word.lower() == left and name == where for left, where, _ in _LEFT)


def test_replaced_words_are_not_used() -> None:
    files = _files()
    assert len(files) > 250
    found = [
        f"{path.relative_to(_ROOT)}:{number}: {match[0]}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for match in _REPLACED.finditer(line)
        if not _is_left(path, match[0])
    ]
    assert found == []


@pytest.mark.parametrize("sentence", ["It is told of them.", "built anew", "The id gave way.", "no GPU could be had"])
def test_a_replaced_word_is_found(sentence: str) -> None:
    assert _REPLACED.search(sentence)
