"""The supervisor and the generations: one that is not live never ends the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import supervisor
from cli.supervisor import Supervisor
from consumers.generations import parameters_of
from errors import UserError
from producers.generations import definition
from schemas.generations import GenerationPromoted, State
from settings import DatabaseSettings, KafkaSettings, Settings
from stream.generations import Generations
from stream.stages import stages_with
from tests.builders.clock import NOON, wait_until

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture
def settings(tmp_path: Path, kafka: KafkaSettings, database: DatabaseSettings) -> Settings:
    return Settings(data=tmp_path, kafka=kafka, database=database)


@pytest.fixture
def ghost(settings: Settings) -> Generations:
    """A generation that the broker does not know, so that its consumers end."""
    return Generations({"ghost": definition("ghost", parameters_of(settings.clustering), State.BUILT, NOON)})


@pytest.fixture
def started(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    """One that runs none but the consumers of generations, and gives up at the second end."""
    monkeypatch.setattr(supervisor, "CONSUMERS", ())
    monkeypatch.setattr(supervisor, "_RESTARTS", 1)
    return Supervisor(settings)


def test_consumers_of_a_generation_that_end_again_and_again_are_given_up_and_the_others_go_on(
    started: Supervisor, ghost: Generations
) -> None:
    with started as running:
        running.follow(ghost)
        assert running.processes.keys() == {"cluster-ghost", "catalogue-ghost"}

        def are_given_up() -> bool:
            running.check()
            running.follow(ghost)
            return not running.processes

        wait_until(are_given_up, "they are started for ever", 120)
        assert running.given_up == {"cluster-ghost", "catalogue-ghost"}


def test_those_of_the_live_generation_are_needed(started: Supervisor, ghost: Generations) -> None:
    promoted = GenerationPromoted(
        generation="ghost", former="blue", assignments="a", clusters="c", promoted_at=NOON, author="Ann"
    )
    with started as running, pytest.raises(UserError, match="ghost ends again and again"):
        running.follow(Generations(ghost.defined, promoted))
        wait_until(running.check, "it does not end", 120)


def test_each_shard_of_an_index_is_a_consumer() -> None:
    commands = supervisor._commands(Generations(), 2)
    assert commands.keys() == stages_with(Generations(), 2).keys()
    assert commands["index-1-of-2"] == ["index", "--shard", "1/2"]
