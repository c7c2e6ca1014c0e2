"""`facestream retire`: end a generation that is not live, with all that it has.

The order, in which each step may be killed and done again:

1. Publish that it is being retired: nobody follows, compares or promotes it any more.
2. Wait until its consumers have ended.
3. Delete its rows, its groups, its snapshots and its topics. Those of the first generation stay, without any record.
4. Publish that it is gone.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Annotated

import typer

from catalogue import generations
from cli.archive import connected, open_archive
from cli.common import load_settings, now
from cli.options import Data
from cli.printing import print_line
from consumers.generations import parameters_of
from errors import UserError
from producers.generations import Change, change_generations, definition
from producers.publisher import Publisher
from schemas.generations import FIRST, GenerationDefined, State
from schemas.topics import ASSIGNMENTS, FACES, GENERATIONS, NEIGHBOURS, Tombstone, of_generation
from settings import Settings
from stream.generations import Generations, group_of, topics_of
from stream.groups import delete_group, left_after
from stream.reading import latest_values
from stream.stages import CATALOGUE, CLUSTER, DETECT, INDEX
from stream.topics import delete_topics

# A supervisor stops them within seconds; one that was killed is a member until its session has lapsed.
_ENDED_WITHIN_S = 90.0

# Those that a generation may have.
_CONSUMERS = (DETECT, INDEX, CLUSTER, CATALOGUE)

Name = Annotated[str, typer.Argument(metavar="GENERATION", help="The generation, such as blue.")]


def retire(
    generation: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
) -> None:
    """End a generation that is not live, and delete its topics and rows. The decisions of archivists stay.

    Killed or stopped, the same command goes on where it was.
    """
    with open_archive(load_settings(data), "retire") as running:
        change_generations(running.kafka, now, lambda present: _check(present, generation))
        question = f"retire the generation {generation}, and delete its assignments and the log of its clusters?"
        if not yes and not typer.confirm(question, err=True):
            raise UserError("nothing was retired")
        defined = _in_state(running, generation, State.RETIRING)
        _wait_for_consumers(running, generation)
        _delete(running, generation)
        if generation == FIRST:
            _in_state(running, generation, State.RETIRED)
        else:
            change_generations(running.kafka, now, lambda _: [Tombstone(GENERATIONS, defined.name)])
    print_line(f"retired: {generation}")


def _check(present: Generations, generation: str) -> Sequence[Change]:
    """Publish nothing. Raises UserError for a generation that cannot be retired."""
    if generation == present.live:
        raise UserError(f"the generation {generation} is live, and subscribers follow it: promote another one first")
    state = present.state(generation)
    if state is None:
        raise UserError(f"there is no generation {generation}: there are {', '.join(present.names)}")
    if state is State.RETIRED:
        raise UserError(f"the generation {generation} was retired")
    return ()


def _in_state(settings: Settings, generation: str, state: State) -> GenerationDefined:
    """Publish that the generation is in this state."""
    made: list[GenerationDefined] = []

    def change(present: Generations) -> Sequence[Change]:
        _check(present, generation)
        known = present.defined.get(generation)
        parameters = known.parameters if known else parameters_of(settings.clustering)
        since, read = (known.since if known else 0), (present.neighbours(generation), present.faces(generation))
        made[:] = [definition(generation, parameters, state, now(), since, *read)]
        return made

    change_generations(settings.kafka, now, change)
    return made[0]


def _wait_for_consumers(settings: Settings, generation: str) -> None:
    groups = [CLUSTER] if generation == FIRST else [group_of(name, generation) for name in _CONSUMERS]
    if running := left_after(settings.kafka, groups, _ENDED_WITHIN_S):
        raise UserError(f"{' and '.join(running)} still run: stop them, then facestream retire {generation} goes on")


def _delete(settings: Settings, generation: str) -> None:
    with connected(settings.database) as connection:
        # The rows of the first one follow from its topic, as always.
        generations.delete(connection, generation, group_of(CATALOGUE, generation))
    for consumer in (CLUSTER,) if generation == FIRST else _CONSUMERS:
        delete_group(settings.kafka, group_of(consumer, generation))
        shutil.rmtree(settings.data / "snapshots" / group_of(consumer, generation), ignore_errors=True)
    if generation != FIRST:
        topics = (*topics_of(generation), *(of_generation(topic, generation) for topic in (NEIGHBOURS, FACES)))
        delete_topics(settings.kafka, [topic.name for topic in topics])
        return
    with Publisher(settings.kafka, now, "tombstones", f"facestream retire {generation} goes on") as publisher:
        for face_id in latest_values(settings.kafka, ASSIGNMENTS):
            publisher.send(Tombstone(ASSIGNMENTS, face_id))
