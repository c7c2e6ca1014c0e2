"""`facestream promote` and `rollback`: which generation subscribers and the catalogue's views follow.

The order, in which each step may be killed and done again:

1. Refuse what is not built, or has not caught up.
2. Publish the heirs of the live generation's clusters to the change log of the one that is promoted. Nobody who follows
   the live one sees them.
3. Publish the record that says which one is live. That alone is the promotion.
4. Publish the heirs of clusters that were made since 2.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer
from psycopg import Connection

from catalogue import comparison, generations
from cli.archive import connected, open_archive
from cli.common import load_settings, now
from cli.compare import check_built
from cli.options import Author, Data
from cli.printing import print_line
from clustering.partitions import Cell, heirs
from errors import UserError
from producers.generations import Change, change_generations
from producers.heirs import led_astray, publish_again, publish_redirects, redirects
from schemas.generations import FIRST, GenerationPromoted
from settings import Settings
from stream.caught_up import CaughtUp
from stream.generations import Generations, read_generations, topics_of
from stream.lag import lag_reader
from stream.stages import CATALOGUE, CLUSTER, STAGES, stages_of

_WAIT_S = 60.0
_LOOK_AGAIN_S = 0.2

Name = Annotated[str, typer.Argument(metavar="GENERATION", help="The generation, such as green.")]


def promote(generation: Name, author: Author, data: Data = None) -> None:
    """Make a generation the live one, which subscribers and the catalogue follow. One record does it."""
    with open_archive(load_settings(data), "promote") as running:
        known = read_generations(running.kafka)
        if generation == known.live:
            _complete(running, known)
            print_line(f"{generation} is live already")
            return
        _promote(running, known, generation, author)
    print_line(f"live: {generation}; facestream rollback makes {known.live} live again, as long as it is not retired")


def rollback(author: Author, data: Data = None) -> None:
    """Make the generation live again that was live before the present one."""
    with open_archive(load_settings(data), "rollback") as running:
        known = read_generations(running.kafka)
        if known.promoted is None:
            raise UserError(f"{known.live} has been live from the beginning: there is nothing to go back to")
        former = known.promoted.former
        _promote(running, known, former, author)
    print_line(f"live: {former}; before it was {known.live}")


def _promote(settings: Settings, known: Generations, generation: str, author: str) -> None:
    check_built(known, generation)
    _wait_until_caught_up(settings, known, generation)
    with connected(settings.database) as connection:
        _publish_heirs(settings, connection, known.live, generation)

        def switch(present: Generations) -> Sequence[Change]:
            check_built(present, generation)
            if present.live != known.live:
                raise UserError(f"somebody else has promoted {present.live} meanwhile: nothing was changed")
            assignments, clusters = topics_of(generation)
            return [
                GenerationPromoted(
                    generation=generation,
                    former=present.live,
                    assignments=assignments.name,
                    clusters=clusters.name,
                    promoted_at=now(),
                    author=author,
                )
            ]

        change_generations(settings.kafka, now, switch)
        _wait_for_views(connection, generation)
        _publish_heirs(settings, connection, known.live, generation)


def _complete(settings: Settings, known: Generations) -> None:
    """Step 4 of a promotion that was killed after 3."""
    if known.promoted is not None and known.state(known.promoted.former) is not None:
        with connected(settings.database) as connection:
            _publish_heirs(settings, connection, known.promoted.former, known.live)


def _wait_until_caught_up(settings: Settings, known: Generations, generation: str) -> None:
    own = stages_of(generation, known.neighbours(generation), known.faces(generation))
    stages = {CLUSTER: STAGES[CLUSTER]} if generation == FIRST else dict(own)
    stages[CATALOGUE] = STAGES[CATALOGUE]
    deadline = time.monotonic() + _WAIT_S
    with lag_reader(settings.kafka) as reader:
        caught_up = CaughtUp(reader, stages)
        while not caught_up.is_so():
            if time.monotonic() > deadline:
                behind = ", ".join(f"{name} by {lag:,} records" for name, lag in reader.lags(stages).items() if lag)
                raise UserError(
                    f"the generation {generation} has not caught up ({behind}): nothing was changed; run its "
                    "consumers, as run, watch and up do, and promote it then"
                )
            time.sleep(_LOOK_AGAIN_S)


def _wait_for_views(connection: Connection, generation: str) -> None:
    """Wait until the catalogue has read the record. Where it does not run, it will with its next start."""
    deadline = time.monotonic() + _WAIT_S
    while generations.live(connection) != generation:
        if time.monotonic() > deadline:
            print_line("the catalogue's views follow as soon as its consumer runs: facestream catalogue")
            return
        time.sleep(_LOOK_AGAIN_S)


def _publish_heirs(settings: Settings, connection: Connection, former: str, generation: str) -> None:
    """Lead each id of the former generation to the cluster that has the most of its faces, where nothing does yet."""
    with comparison.one_moment(connection):
        cells = [Cell(*cell) for cell in comparison.cells(connection, former, generation)]
        formerly = comparison.superseded(connection, former)
        superseded = comparison.superseded(connection, generation)
        sizes = comparison.sizes(connection, generation)
    present = {**dict(superseded), **{cluster_id: cluster_id for cluster_id in sizes}}
    leading = redirects(heirs(cells), formerly, present)
    astray = led_astray(sizes, superseded)
    if leading:
        publish_redirects(settings.kafka, now, generation, leading)
    if astray:
        publish_again(settings.kafka, now, generation, {cluster_id: sizes[cluster_id] for cluster_id in astray})
