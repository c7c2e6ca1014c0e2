"""A scan to analyse, and its analysis."""

from __future__ import annotations

from datetime import UTC, datetime

from models.analyse import Engine, analyse_scans
from models.pixels import RgbImage
from schemas.faces import ScanAnalysed
from schemas.scans import KeptFace, ScanPublished


def scan(*keep: KeptFace) -> ScanPublished:
    """A scan that keeps these faces."""
    return ScanPublished(
        scan_id="album/1",
        uri="file:///album/1.jpg",
        sha256="0" * 64,
        media_type="image/jpeg",
        collection="album",
        published_at=datetime(2026, 1, 2, tzinfo=UTC),
        keep=keep,
    )


def analyse(engine: Engine, scan: ScanPublished, image: RgbImage) -> ScanAnalysed:
    """The analysis of one scan."""
    (analysed,) = analyse_scans(engine, [(scan, image)])
    return analysed
