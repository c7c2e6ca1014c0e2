"""`facestream generations`: which clusterings there are, with their parameters, and which one is live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from cli.archive import open_archive
from cli.common import load_settings
from cli.generation_texts import described
from cli.options import Data, Json
from cli.printing import console, folded, identifier, number, print_json
from schemas.generations import FIRST
from schemas.topics import Topic
from stream.generations import Generations, read_generations
from stream.lag import lag_reader
from stream.stages import CLUSTER, STAGES, stages_of


def generations(data: Data = None, json_: Json = False) -> None:
    """The generations: clusterings with parameters of their own, how far each is, and which one is live."""
    settings = load_settings(data)
    with open_archive(settings, "generations", database=False) as running:
        known = read_generations(running.kafka)
        with lag_reader(running.kafka) as reader:
            lags = {name: max(reader.lags(_stages(known, name)).values()) for name in known.followed}
    rows = [
        {
            "generation": name,
            "state": str(known.state(name)),
            "live": name == known.live,
            "former": known.promoted is not None and name == known.promoted.former,
            "parameters": known.defined[name].parameters.model_dump() if name in known.defined else None,
            "since": known.defined[name].since if name in known.defined else 0,
            "behind": lags.get(name),
        }
        for name in known.names
    ]
    if json_:
        for row in rows:
            print_json(row)
        return
    table = Table(identifier("generation"), "state", number("records behind"), folded("parameters"))
    for row in rows:
        name = str(row["generation"])
        defined = known.defined.get(name)
        state = "live" if row["live"] else str(row["state"])
        behind = "-" if row["behind"] is None else f"{row['behind']:,}"
        table.add_row(name, state, behind, described(defined.parameters) if defined else "those of the settings")
    console.print(table)


def _stages(known: Generations, name: str) -> Mapping[str, Sequence[Topic]]:
    """Its clusterer, and, but for the first one, its own catalogue, and its index and detect if it has them."""
    if name == FIRST:
        return {CLUSTER: STAGES[CLUSTER]}
    return stages_of(name, known.neighbours(name), known.faces(name))
