"""The table at the end of a run: scans, faces, clusters, and the rate."""

from __future__ import annotations

from dataclasses import dataclass

from catalogue import reader
from cli.printing import console, print_json, print_values
from cli.system import System
from consumers.references import should_calibrate
from producers.identity import Outcome
from sample.truth import Score, Truth, score

_LARGEST = 10


@dataclass(frozen=True)
class Summary:
    """The catalogue after a run, and what the run itself did. Seconds are from the first scan published to the end."""

    scans: int
    analysed: int
    dead_letters: int
    waiting: int
    faces: int
    clusters: int
    largest: tuple[tuple[str, int], ...]
    published: int
    already_there: int
    changed: int
    moved: int
    refused: int
    seconds: float
    scans_per_s: float
    faces_per_s: float
    truth: str | None


def print_summary(running: System, seconds: float, truth: Truth | None, as_json: bool) -> None:
    """Print the summary of a run as a table, or as one line of JSON."""
    summary = summarise(running, seconds, truth)
    if as_json:
        print_json(summary)
        return
    rows = {
        "scans": f"{summary.scans:,}",
        "  analysed": f"{summary.analysed:,}",
        "  dead letters": f"{summary.dead_letters:,}",
        "  waiting": f"{summary.waiting:,}",
        "faces": f"{summary.faces:,}",
        "clusters": f"{summary.clusters:,}",
    }
    rows |= {f"  {cluster_id}": f"{size:,} face{'s' * (size != 1)}" for cluster_id, size in summary.largest}
    rows |= {
        "this run: published": f"{summary.published:,}",
        "  changed": f"{summary.changed:,}",
        "  already there": f"{summary.already_there:,}",
        **({"  moved": f"{summary.moved:,}"} if summary.moved else {}),
        **({"  refused": f"{summary.refused:,}"} if summary.refused else {}),
        "  seconds": f"{summary.seconds:.1f}",
        "  scans per second": f"{summary.scans_per_s:.2f}",
        "  faces per second": f"{summary.faces_per_s:.2f}",
    }
    print_values("Facestream", rows.items())
    if summary.truth:
        console.print(f"truth: {summary.truth}")
    if summary.waiting:
        console.print(f"{summary.waiting} scans are still waiting: the same command goes on with them")
    if summary.dead_letters:
        console.print("why scans became dead letters: facestream dead-letters")
    if should_calibrate(running.settings, summary.faces):
        console.print("better clusters from these faces, after the next start: facestream calibrate")


def summarise(running: System, seconds: float, truth: Truth | None) -> Summary:
    """Read the summary of a run from the catalogue."""
    counts = running.ask(reader.counts)
    largest = running.ask(lambda connection: reader.clusters(connection, limit=_LARGEST))
    return Summary(
        scans=counts.scans,
        analysed=counts.analysed,
        dead_letters=counts.dead_scans,
        waiting=counts.scans - counts.analysed - counts.dead_scans,
        faces=counts.faces,
        clusters=counts.clusters,
        largest=tuple((cluster.cluster_id, cluster.size) for cluster in largest),
        published=running.published[Outcome.PUBLISHED],
        already_there=running.published[Outcome.ALREADY_THERE],
        changed=running.published[Outcome.CHANGED],
        moved=running.published[Outcome.MOVED],
        refused=running.published[Outcome.REFUSED],
        seconds=round(seconds, 2),
        scans_per_s=round(
            (counts.analysed + counts.dead_scans - running.before.analysed - running.before.dead_scans) / seconds, 3
        ),
        faces_per_s=round((counts.faces - running.before.faces) / seconds, 3),
        truth=str(_score(running, truth)) if truth is not None else None,
    )


def _score(running: System, truth: Truth) -> Score:
    clusters = running.ask(lambda connection: list(reader.faces_of_clusters(connection)))
    return score(truth, {str(faces[0].cluster_id): [(face.scan_id, face.box) for face in faces] for faces in clusters})
