"""`facestream evaluate`: how good the clusters are at each eps, by a truth file or the names that archivists gave."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from psycopg import Connection
from rich.table import Column, Table
from rich.text import Text

from catalogue import evaluated
from cli.archive import connected, open_archive
from cli.common import load_settings
from cli.options import Data, Json
from cli.plots import print_plot, write_png
from cli.printing import console, print_json, print_line, stderr
from cli.sweep import eps_range
from clustering.clustering import Clustering
from clustering.what_if import hypothetical_clusters
from consumers.generation_clustering import live_clustering, live_settings
from consumers.same_distance import refuse_other_distance
from errors import UserError
from evaluation import thesis
from evaluation.measures import measure
from evaluation.thresholds import AtEps, ThreeEps, best, three_eps
from evaluation.truth import KnownFaces, PlacedFace, TruthRow, known_faces
from producers.folders import printable
from producers.truth import NamedScan, read_truth, with_scan_ids

# Narrow enough for a terminal of 80 columns: heading, measure.
_COLUMNS = {
    "\ncompl": "completeness",
    "\nhomog": "homogeneity",
    "\nV": "v_measure",
    "\nARI": "ari",
    "\nAMI": "ami",
    "pairs\nP": "pair_precision",
    "\nR": "pair_recall",
    "\nF": "pair_f",
    "BCub.\nP": "bcubed_precision",
    " \nR": "bcubed_recall",
    " \nF": "bcubed_f",
}
_BEST = {"ARI": "ari", "AMI": "ami", "V": "v_measure", "F of pairs": "pair_f", "F of BCubed": "bcubed_f"}
_PLOTTED = {"pairs precision": "pair_precision", "pairs recall": "pair_recall", "ARI": "ari", "V": "v_measure"}
_CHOSEN = {"full_precision": "full precision", "balance": "balance", "full_recall": "full recall"}


def evaluate(
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Who is on which scan: TSV, CSV or JSON lines with the columns identity and path or scan_id, and x "
            "and y or face_id where several are on a scan.",
            show_default="the names that archivists gave",
        ),
    ] = None,
    first: Annotated[float, typer.Option("--from", help="The first eps.")] = 0.25,
    last: Annotated[float | None, typer.Option("--to", help="The last eps.", show_default="eps_max")] = None,
    step: Annotated[float, typer.Option(help="Difference between one eps and the next.")] = 0.01,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the rows as CSV, too.", show_default=False)
    ] = None,
    png_file: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="Write the plot as PNG, too.", show_default=False)
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """How good the clusters are over a range of eps, by what is known of their faces. Nothing is searched or changed.

    Clusters are those of the distance and the rule alone: links and separations of archivists make no difference here.
    """
    settings = load_settings(data)
    named = read_truth(truth) if truth is not None else None
    with open_archive(settings, "evaluate") as running:
        all_eps = eps_range(first, last, step, live_settings(running).clustering.eps_max)
        with connected(running.database) as connection:
            known = _from_file(connection, truth, named) if truth and named else _from_names(connection)
        refuse_other_distance(running)
        clustering = live_clustering(running)
    present = clustering.parameters.eps
    if all_eps[0] < present < all_eps[-1]:
        all_eps = sorted({*all_eps, present})
    measured = _measured(clustering, known.people, all_eps)
    chosen = three_eps(measured)
    rows = [_row(it, known.people, chosen, present) for it in measured]
    if csv_file is not None:
        _write_csv(csv_file, rows)
    if png_file is not None:
        write_png(png_file, all_eps, _curves(measured), _marks(chosen), _title(known.people))
    _warn_of_what_says_nothing(known.people)
    if json_:
        for row in rows:
            print_json(row)
        return
    _print(measured, chosen, known, present)


def _from_file(connection: Connection, path: Path, named: Sequence[NamedScan]) -> KnownFaces:
    """The people of a truth file's faces. What it does not know is reported. Raises UserError."""
    scan_ids = {scan_id for it in named for scan_id in it.scan_ids}
    scans = evaluated.scans_named(connection, scan_ids, {it.uri for it in named if it.uri is not None})
    at_uri: dict[str, list[str]] = {}
    for scan_id, uri in scans:
        at_uri.setdefault(uri, []).append(scan_id)
    rows = with_scan_ids(path, named, [scan_id for scan_id, _ in scans], at_uri)
    faces_of: dict[str, list[PlacedFace]] = {row.scan_id: [] for row in rows if row.scan_id is not None}
    for scan_id, face_id, box in evaluated.faces_on(connection, faces_of):
        faces_of[scan_id].append(PlacedFace(face_id, box))
    face_ids = evaluated.existing_faces(connection, {row.face_id for row in rows if row.face_id is not None})
    known = known_faces(rows, faces_of, face_ids)
    name = printable(path)
    if not known.people:
        if known.faceless:
            raise UserError(f"{name}: on none of its scans in this archive is there a face{_first(known.faceless)}")
        raise UserError(
            f"{name}: none of its scans is in this archive{_first(known.unknown)}: name them by the paths that were "
            "ingested, or in a column scan_id"
        )
    _report(f"{name}: scans or faces that are not in this archive", known.unknown)
    _report(f"{name}: scans without a face there, or not analysed yet", known.faceless)
    return known


def _from_names(connection: Connection) -> KnownFaces:
    """The people whom archivists have named. Raises UserError where they have named none."""
    people = evaluated.people_of_faces(connection)
    if not people:
        raise UserError("no face in this archive has a name: give --truth FILE, or name some (facestream label)")
    return KnownFaces(people)


def _warn_of_what_says_nothing(people: Mapping[str, str]) -> None:
    faces_of = Counter(people.values())
    if len(faces_of) == 1:
        stderr.print("all of these faces are of one person: only recall says something", style="yellow", soft_wrap=True)
    elif max(faces_of.values()) == 1:
        stderr.print("no person has two of these faces: only precision says something", style="yellow", soft_wrap=True)


def _title(people: Mapping[str, str]) -> str:
    faces, persons = len(people), len(set(people.values()))
    return f"{faces:,} face{'s' * (faces != 1)} of {persons:,} {'person' if persons == 1 else 'people'}"


def _report(what: str, rows: Sequence[TruthRow]) -> None:
    if rows:
        stderr.print(f"{what}: {len(rows):,}{_first(rows)}", style="yellow", soft_wrap=True)


def _first(rows: Sequence[TruthRow]) -> str:
    return f" (line {rows[0].line}: {rows[0].scan})" if len(rows) == 1 else f" (line {rows[0].line}: {rows[0].scan}, …)"


def _measured(clustering: Clustering, people: dict[str, str], all_eps: Sequence[float]) -> list[AtEps]:
    """The measures at each eps. Faces that are not clustered yet leave `people`. Raises UserError."""
    measured = []
    for eps in all_eps:
        try:
            found = hypothetical_clusters(clustering, eps, constrained=False)
        except ValueError as error:
            raise UserError(str(error)) from error
        cluster_of = dict(zip(found.face_ids, found.cluster_ids, strict=True))
        missing = people.keys() - cluster_of.keys()
        if len(missing) == len(people):
            raise UserError("none of the faces with a known person is clustered yet: wait until the lag is 0 (status)")
        if missing:
            stderr.print(f"faces that are not clustered yet, and left out: {len(missing):,}", style="yellow")
        for face_id in missing:
            del people[face_id]
        measured.append(AtEps(eps, measure(list(people.values()), [cluster_of[face_id] for face_id in people])))
    return measured


def _row(it: AtEps, people: Mapping[str, str], chosen: ThreeEps, present: float) -> dict[str, object]:
    return {
        "eps": it.eps,
        "faces": len(people),
        "people": len(set(people.values())),
        **asdict(it.measures),
        "chosen": [name for name in _CHOSEN if getattr(chosen, name) is it],
        "present": it.eps == present,
    }


def _write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            for row in rows:
                names = [name for name in _CHOSEN if name in str(row["chosen"])]
                writer.writerow({**row, "chosen": " ".join(names), "present": str(row["present"]).lower()})
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be written: {error.strerror or error}") from error


def _curves(measured: Sequence[AtEps]) -> dict[str, list[float]]:
    return {label: [getattr(it.measures, name) for it in measured] for label, name in _PLOTTED.items()}


def _marks(chosen: ThreeEps) -> dict[str, float]:
    marked = {label: getattr(chosen, name) for name, label in _CHOSEN.items()}
    return {label: it.eps for label, it in marked.items() if it is not None}


def _print(measured: Sequence[AtEps], chosen: ThreeEps, known: KnownFaces, present: float) -> None:
    table = Table(
        *(Column(Text(name), justify="right") for name in ("\neps", "clus-\nters", *_COLUMNS)),
        title=_title(known.people),
        box=None,
        padding=(0, 0, 0, 1),
    )
    for it in measured:
        figures = [f"{getattr(it.measures, name):.3f}" for name in _COLUMNS.values()]
        table.add_row(f"{it.eps:g}", f"{it.measures.clusters}", *figures)
    console.print(table)
    highest = {label: best(measured, name) for label, name in _BEST.items()}
    print_line("highest: " + ", ".join(f"{label} at {it.eps:g}" for label, it in highest.items()))
    if known.central:
        print_line(
            f"scans with several faces, of which the one nearest to the middle was taken: {len(known.central):,}"
        )
    _print_chosen(measured, chosen)
    print_line(f"eps of the clusters as they are: {present:g}")
    print_plot([it.eps for it in measured], _curves(measured), "measure", highest=1)


def _print_chosen(measured: Sequence[AtEps], chosen: ThreeEps) -> None:
    first, last = measured[0].eps, measured[-1].eps
    for name, label in _CHOSEN.items():
        it: AtEps | None = getattr(chosen, name)
        if it is None:
            measure_name = "pair_precision" if name == "full_precision" else "pair_recall"
            highest = best(measured, measure_name)
            print_line(
                f"{label}: at no eps from {first:g} to {last:g}; the highest is "
                f"{getattr(highest.measures, measure_name):.5f} at {highest.eps:g}"
            )
        else:
            print_line(
                f"{label}: eps {it.eps:g}, pairs P {it.measures.pair_precision:.3f} R {it.measures.pair_recall:.3f}, "
                f"ARI {it.measures.ari:.3f}, AMI {it.measures.ami:.3f}, V {it.measures.v_measure:.3f}"
            )
    for row in thesis.TABLE_1:
        known = {"ARI": row.ari, "AMI": row.ami, "V": row.v_measure}
        figures = [f"{name} {value:.3f}" for name, value in known.items() if value is not None]
        print_line(", ".join([f"the thesis, its own photographs, {row.chosen_for}: eps {row.eps:g}", *figures]))
