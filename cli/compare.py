"""`facestream compare`: how two generations differ, with examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from typing import Annotated

import typer
from rich.table import Table

from catalogue import comparison
from catalogue.comparison import Place
from cli.archive import connected, open_archive
from cli.common import load_settings
from cli.options import Data, Json
from cli.printing import console, folded, identifier, print_json, print_line, print_values
from clustering.binding import Bound, binding_decisions
from clustering.partitions import Cell, difference
from consumers.generation_clustering import clustering_of_generation
from errors import UserError
from schemas.generations import State
from stream.generations import Generations, read_generations

_EXAMPLES = 5

Name = Annotated[str, typer.Argument(metavar="GENERATION", help="A generation, such as blue.")]


@dataclass(frozen=True)
class Example:
    """Two faces whose clusters became one, or whose cluster fell apart: `joined` or `parted`."""

    what: str
    one: Place
    other: Place


@dataclass(frozen=True)
class Report:
    """What differs. only_in_one, only_in_other: faces that are not compared, since the other one has not got them."""

    faces: int
    only_in_one: int
    only_in_other: int
    ari: float
    pairs_joined: int
    pairs_parted: int
    faces_moved: int
    clusters_merged: int
    clusters_split: int
    people_affected: Sequence[str]
    decisions_that_bind_in_one: Sequence[Bound]
    decisions_that_bind_in_other: Sequence[Bound]
    examples: Sequence[Example]


def compare(one: Name, other: Name, data: Data = None, json_: Json = False) -> None:
    """How the clusters of two generations differ: ONE as it is, OTHER as it would be.

    An adjusted Rand index of 1 and nothing but zeros mean that they are the same.
    """
    settings = load_settings(data)
    with open_archive(settings, "compare") as running, connected(running.database) as connection:
        generations = read_generations(running.kafka)
        for name in (one, other):
            check_built(generations, name)
        with comparison.one_moment(connection):
            cells = [Cell(*cell) for cell in comparison.cells(connection, one, other)]
            only = [comparison.in_one_alone(connection, *names) for names in ((one, other), (other, one))]
            people = comparison.people_affected(connection, one, other)
            pairs = list(_example_pairs(cells))
            places = comparison.scan_places(connection, {face_id for _, *faces in pairs for face_id in faces})
            constrained = comparison.has_pairs(connection)
        bound = [
            binding_decisions(clustering_of_generation(running, generations, name)) if constrained else set()
            for name in (one, other)
        ]
    found = difference(cells)
    report = Report(
        faces=found.faces,
        only_in_one=only[0],
        only_in_other=only[1],
        ari=found.ari,
        pairs_joined=found.pairs_joined,
        pairs_parted=found.pairs_parted,
        faces_moved=found.moved,
        clusters_merged=found.merged,
        clusters_split=found.split,
        people_affected=people,
        decisions_that_bind_in_one=sorted(bound[0] - bound[1]),
        decisions_that_bind_in_other=sorted(bound[1] - bound[0]),
        examples=list(_examples(pairs, places)),
    )
    if json_:
        examples = [
            {"what": it.what} | {side: _json(place) for side, place in (("one", it.one), ("other", it.other))}
            for it in report.examples
        ]
        print_json(asdict(report) | {"examples": examples})
    else:
        _print(report, one, other)


def check_built(generations: Generations, name: str) -> None:
    """Raise UserError for a generation that is not there as a whole."""
    state = generations.state(name)
    if state is None:
        raise UserError(f"there is no generation {name}: there are {', '.join(generations.names)}")
    if state is State.BUILDING:
        raise UserError(f"the generation {name} is not built yet: facestream replay --into {name} goes on with it")
    if state is not State.BUILT:
        raise UserError(f"the generation {name} was retired")


def _example_pairs(cells: Sequence[Cell]) -> Iterator[tuple[str, str, str]]:
    """Faces of the largest clusters that became one, then of those that fell apart."""
    sides: tuple[tuple[str, Callable[[Cell], str | None]], ...] = (
        ("joined", lambda cell: cell.other),
        ("parted", lambda cell: cell.one),
    )
    for what, side in sides:
        found = []
        clustered = [cell for cell in cells if cell.one is not None and cell.other is not None]
        for _, group in groupby(sorted(clustered, key=lambda cell: (str(side(cell)), -cell.faces)), key=side):
            first, *others = list(group)
            if others:
                found.append((-others[0].faces, first.face_id, others[0].face_id))
        yield from ((what, one, other) for _, one, other in islice(sorted(found), _EXAMPLES))


def _examples(pairs: Sequence[tuple[str, str, str]], places: Mapping[str, Place]) -> Iterator[Example]:
    # A scan that was withdrawn a moment ago has none.
    for what, one, other in pairs:
        if one in places and other in places:
            yield Example(what, places[one], places[other])


def _json(place: Place) -> dict[str, object]:
    return {"face_id": place.face_id, "scan_id": place.scan_id, "box": place.box.model_dump()}


def _print(report: Report, one: str, other: str) -> None:
    people = ", ".join(report.people_affected[:_EXAMPLES]) + ", …" * (len(report.people_affected) > _EXAMPLES)
    binding = len(report.decisions_that_bind_in_one), len(report.decisions_that_bind_in_other)
    print_values(
        f"From {one} to {other}",
        [
            ("faces in both", f"{report.faces:,}"),
            (f"faces in {one} alone", f"{report.only_in_one:,}"),
            (f"faces in {other} alone", f"{report.only_in_other:,}"),
            ("adjusted Rand index", f"{report.ari:.6f}"),
            ("pairs of faces joined", f"{report.pairs_joined:,}"),
            ("pairs of faces parted", f"{report.pairs_parted:,}"),
            ("faces moved", f"{report.faces_moved:,}"),
            ("clusters merged", f"{report.clusters_merged:,}"),
            ("clusters split", f"{report.clusters_split:,}"),
            ("people affected", f"{len(report.people_affected):,}"),
            (f"links and separations that bind in {one} alone", f"{binding[0]:,}"),
            (f"links and separations that bind in {other} alone", f"{binding[1]:,}"),
        ],
    )
    if people:
        print_line(f"people affected: {people}")
    for name, bound in ((one, report.decisions_that_bind_in_one), (other, report.decisions_that_bind_in_other)):
        for decision in bound[:_EXAMPLES]:
            print_line(f"binds in {name} alone: {decision.face_id} and {decision.other_face_id} are {decision.kind}")
    if report.examples:
        table = Table("", identifier("face"), folded("scan"), "box", identifier("and face"), folded("scan"), "box")
        for example in report.examples:
            table.add_row(example.what, *_cells(example.one), *_cells(example.other))
        console.print(table)


def _cells(place: Place) -> tuple[str, str, str]:
    box = place.box
    return place.face_id, place.scan_id, f"{box.left:.3f} {box.top:.3f} {box.right:.3f} {box.bottom:.3f}"
