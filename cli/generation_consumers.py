"""The consumers of a generation as processes: what `facestream detect`, `index`, `cluster` and `catalogue` run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from consumers.generations import check_embedder_of, parameters_of, settings_of
from errors import UserError
from producers.generations import Change, change_generations, definition
from producers.known import known_scans
from schemas.generations import FIRST, GenerationDefined, State
from schemas.topics import FACES, NEIGHBOURS, of_generation
from settings import KafkaSettings, Settings
from stream.generations import Generations, read_generations

if TYPE_CHECKING:
    from consumers.repair import Repair

Clock = Callable[[], datetime]


def run_first_clusterer(settings: Settings, member: str, stop: threading.Event, clock: Clock) -> None:
    """The clusterer of the first generation, whose parameters are the settings. It publishes them. Raises Fatal."""
    from consumers.cluster import run
    from consumers.references import followed_reference

    parameters = parameters_of(settings.clustering, followed_reference(settings))

    def publish(generations: Generations) -> Sequence[Change]:
        if generations.state(FIRST) is not State.BUILT:
            raise UserError(
                f"the generation {FIRST} was retired: {generations.live} is live, "
                f"start facestream cluster --generation {generations.live}"
            )
        defined = generations.defined.get(FIRST)
        if defined is not None and defined.parameters == parameters:
            return ()
        return [definition(FIRST, parameters, State.BUILT, clock())]

    # Only where there is something to publish: to begin to write ends the right of whoever writes now.
    if publish(read_generations(settings.kafka)):
        change_generations(settings.kafka, clock, publish)
    run(settings, member, stop, clock)


def run_clusterer(
    settings: Settings, member: str, stop: threading.Event, clock: Clock, *, generation: str, max_rate: float | None
) -> None:
    """The clusterer of another generation, with the parameters that it was defined with. Raises Fatal."""
    from consumers.cluster import run
    from consumers.references import check_distance

    defined = _with_its_embedder(settings, generation)
    own_index = defined.neighbours != NEIGHBOURS.name
    own = settings_of(settings, defined)
    if not own_index:
        check_distance(own, generation)
    run(
        own,
        member,
        stop,
        clock,
        generation,
        neighbours=of_generation(NEIGHBOURS, generation) if own_index else NEIGHBOURS,
        since=defined.since,
        max_rate=max_rate,
    )


def run_index(
    settings: Settings,
    member: str,
    stop: threading.Event,
    clock: Clock,
    *,
    generation: str,
    max_rate: float | None,
    repaired: Callable[[Repair], None] | None = None,
) -> None:
    """The index of a generation that has one of its own; repaired: see `consumers.index.run`. Raises Fatal."""
    from consumers.index import run

    defined = _with_its_embedder(settings, generation)
    if defined.neighbours == NEIGHBOURS.name:
        raise UserError(f"the generation {generation} reads {NEIGHBOURS.name}, which the index of all publishes")
    own = settings_of(settings, defined)
    faces = FACES if defined.faces == FACES.name else of_generation(FACES, generation)
    run(own, member, stop, clock, repaired=repaired, generation=generation, max_rate=max_rate, faces=faces)


def run_detect(
    settings: Settings, member: str, stop: threading.Event, clock: Clock, *, generation: str, max_rate: float | None
) -> None:
    """What embeds the faces of the archive again for a generation that has another embedder. Raises Fatal."""
    from consumers.detect import run_again

    defined = _with_its_embedder(settings, generation)
    if defined.faces == FACES.name:
        raise UserError(f"the generation {generation} reads {FACES.name}, which the detect consumers of all publish")
    with known_scans(settings.kafka, settings.data) as scans:
        own = settings_of(settings, defined)
        run_again(own, member, stop, clock, generation, scans.latest, max_rate=max_rate)


def run_catalogue(
    settings: Settings, member: str, stop: threading.Event, clock: Clock, *, generation: str | None
) -> None:
    """The catalogue, or that of another generation. Raises Fatal."""
    from consumers.catalogue import run

    if generation is None:
        run(settings, member, stop, clock)
        return
    defined = defined_generation(settings.kafka, generation)
    embedder = defined.parameters.embedder
    run(settings, member, stop, clock, generation, None if embedder is None else embedder.dimension)


def defined_generation(kafka: KafkaSettings, name: str) -> GenerationDefined:
    """A generation beside the first one, that is built or being built. Raises UserError where there is none."""
    generations = read_generations(kafka)
    defined = generations.defined.get(name)
    if name == FIRST:
        raise UserError(f"the generation {FIRST} is that of the settings: leave --generation out")
    if defined is None or defined.state is State.RETIRING:
        what = "there is no" if defined is None else "retired is the"
        raise UserError(f"{what} generation {name}: facestream replay --into {name} builds one")
    return defined


def _with_its_embedder(settings: Settings, name: str) -> GenerationDefined:
    """The same; raises UserError also where its embedder is described otherwise now."""
    defined = defined_generation(settings.kafka, name)
    check_embedder_of(settings, defined)
    return defined
