"""The services for an erasure: for it alone where they are its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cli.archive import kafka_errors_in_one_line
from consumers.embedders import check_embedder
from consumers.generations import check_embedder_of
from errors import FacestreamError, UserError
from local.services import Services, kept_services
from schemas.generations import State
from settings import Settings
from stream.generations import Generations, read_generations
from stream.topics import ensure_topics


@contextmanager
def services_to_erase(settings: Settings, *, dry_run: bool = False) -> Iterator[Services]:
    """Open them. Raises FacestreamError, also where a generation is between two states."""
    with (
        kept_services(settings, exclusive=not dry_run, existing=True, command="erase") as opened,
        kafka_errors_in_one_line(opened.settings.kafka),
    ):
        ensure_topics(opened.settings.kafka)
        generations = read_generations(opened.settings.kafka)
        _refuse(generations)
        if not dry_run and settings.kafka.bootstrap_servers is None:
            # The consumers that this command starts would stop, in the middle of the erasure.
            check_embedder(opened.settings)
            _check_embedders(opened.settings, generations)
        yield opened


def _check_embedders(settings: Settings, generations: Generations) -> None:
    """The same for the generations with embedders of their own."""
    for defined in generations.defined.values():
        try:
            check_embedder_of(settings, defined)
        except FacestreamError as error:
            raise UserError(f"{error}; or retire it (facestream retire {defined.name})") from error


def _refuse(generations: Generations) -> None:
    """Raise UserError where a generation is neither built nor gone: nobody runs its consumers."""
    for name in generations.names:
        if generations.state(name) is State.BUILDING:
            raise UserError(
                f"the generation {name} is being built: end that first (facestream replay --into {name}), or retire it "
                f"(facestream retire {name})"
            )
        if generations.state(name) is State.RETIRING:
            raise UserError(f"the generation {name} is being retired: end that first (facestream retire {name})")
