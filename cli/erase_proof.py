"""The proof of an erasure: every file of the data folder is searched for what was erased."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from erasure.search import LONGEST, Finder
from errors import SnapshotRefused
from index.vectors_left import holds
from producers.erasure_plan import Plan
from stream.erasures import write_safely
from stream.search import UnpackableBatch, compressed_batches

_AT_ONCE = 64 * 2**20


@dataclass
class Proof:
    """What was searched, and what was found: by file or topic, and kind. elsewhere: what cannot be seen from here."""

    files: int = 0
    bytes: int = 0
    topics: int = 0
    tables: int = 0
    tombstones: int = 0
    found: dict[str, dict[str, int]] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)

    def note(self, where: str, kinds: Counter[str]) -> None:
        """Something was found somewhere."""
        if kinds:
            self.found[where] = dict(Counter(self.found.get(where, {})) + kinds)

    @property
    def count(self) -> int:
        """How much was found."""
        return sum(sum(kinds.values()) for kinds in self.found.values())

    @property
    def lines(self) -> list[str]:
        """What was found, a line for each file, topic or table."""
        return [
            f"{where}: {', '.join(f'{kind} ({count:,})' for kind, count in kinds.items())}"
            for where, kinds in self.found.items()
        ]


def search_folder(
    data: Path, finder: Finder, embeddings: frozenset[bytes], but: Collection[Path], proof: Proof
) -> None:
    """Search all files of the data folder, but for these files and folders."""
    for path in sorted(data.rglob("*")):
        if path.is_symlink() or not path.is_file() or not set(but).isdisjoint((path, *path.parents)):
            continue
        where = str(path.relative_to(data))
        try:
            proof.bytes += path.stat().st_size
            proof.files += 1
            proof.note(where, _found_in(path, finder, embeddings))
        except FileNotFoundError:
            continue  # of a service that has deleted it meanwhile
        except (UnpackableBatch, PermissionError, SnapshotRefused) as error:
            proof.note(where, Counter({f"cannot be read ({error})": 1}))


def found_in_files(folders: Iterable[Path], finder: Finder) -> bool:
    """Whether any file of these folders has a trace."""
    proof = Proof()
    for folder in folders:
        search_folder(folder, finder, frozenset(), (), proof)
        if proof.found:
            return True
    return False


def _found_in(path: Path, finder: Finder, embeddings: frozenset[bytes]) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for piece in _pieces(path):
        kinds.update(finder.found(piece))
    if path.suffix == ".log" and path.stem.isdecimal():
        for batch in compressed_batches(path):
            kinds.update(finder.found(batch))
    if path.suffix == ".hnsw" and (nodes := holds(path, embeddings)):
        kinds["vector in a graph"] += nodes
    return kinds


def _pieces(path: Path) -> Iterator[bytes]:
    before = b""
    with path.open("rb") as file:
        while more := file.read(_AT_ONCE):
            yield before + more
            before = more[-LONGEST:]


def report(plan: Plan, proof: Proof, now: datetime) -> dict[str, object]:
    """What a proof has found, without personal data."""
    return {
        "erasure_id": plan.erasure_id,
        "what": plan.what,
        "begun_at": plan.begun_at.isoformat(),
        "proven_at": now.isoformat(),
        "erased": {
            "scans": len(plan.scan_ids),
            "faces": len(plan.faces),
            "embeddings": len(plan.embeddings),
            "decisions": len(plan.decision_ids),
        },
        "searched": {"files": proof.files, "bytes": proof.bytes, "topics": proof.topics, "tables": proof.tables},
        "found": proof.found,
        "tombstones": proof.tombstones,
        "elsewhere": proof.elsewhere,
        "is_erased": not proof.found,
    }


def report_file(folder: Path, plan: Plan) -> Path:
    """The file of the report of an erasure, in the folder of erasures."""
    return folder / f"report-{plan.erasure_id}.json"


def write_report(path: Path, content: dict[str, object]) -> None:
    """Write a report."""
    write_safely(path, json.dumps(content, indent=2).encode() + b"\n")
