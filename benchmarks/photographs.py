"""The photographs of a folder, for the benchmarks of the networks."""

from __future__ import annotations

from pathlib import Path

from models.formats import MEDIA_TYPES


def photographs(folder: Path, limit: int | None = None) -> list[Path]:
    """The photographs below a folder, by path; with a `limit` at most so many, evenly chosen."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in MEDIA_TYPES)
    return paths if limit is None else paths[:: max(1, len(paths) // limit)][:limit]
