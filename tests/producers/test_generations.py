"""Writers of `generations` that begin at the same moment, or lose the broker's answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from kafka.errors import KafkaError

from producers.generations import Change, change_generations, definition
from schemas.generations import GenerationParameters, State
from settings import KafkaSettings
from stream import clients
from stream.generations import Generations, read_generations
from tests.builders.clock import NOON

PARAMETERS = GenerationParameters(
    distance="euclidean", eps=0.4, eps_max=0.5, min_samples=1, shared_weight=0, most_neighbours=64
)


def adding(name: str, seen: list[list[str]]) -> Callable[[Generations], Sequence[Change]]:
    """Adds a generation where there is none of that name; `seen` is given the names that there are at each attempt."""

    def change(generations: Generations) -> Sequence[Change]:
        seen.append(sorted(generations.defined))
        return [] if name in generations.defined else [definition(name, PARAMETERS, State.BUILDING, NOON)]

    return change


def test_of_two_writers_the_first_one_begins_again_with_what_the_second_one_wrote(empty_kafka: KafkaSettings) -> None:
    seen: list[list[str]] = []

    def change(generations: Generations) -> Sequence[Change]:
        if not seen:
            change_generations(empty_kafka, lambda: NOON, adding("other", []))
        return adding("own", seen)(generations)

    change_generations(empty_kafka, lambda: NOON, change)
    assert [names for names in seen if "other" in names] == [seen[-1]]
    assert sorted(read_generations(empty_kafka).defined) == ["other", "own"]


@pytest.mark.parametrize("published", [False, True], ids=["not published", "published"])
def test_where_the_answer_of_the_broker_is_lost_it_is_published_once(
    published: bool, empty_kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    bounded = clients.bounded

    def lost(call: Callable[[], None], within_s: float) -> None:
        if getattr(call, "__name__", "") != "commit_transaction":
            bounded(call, within_s)
            return
        calls.append("commit")
        if published or len(calls) > 1:
            call()
        if len(calls) == 1:
            raise KafkaError("Invalid transition attempted from state BUMPING_PRODUCER_EPOCH")

    monkeypatch.setattr(clients, "bounded", lost)
    seen: list[list[str]] = []
    before = change_generations(empty_kafka, lambda: NOON, adding("own", seen))
    assert "own" not in before.defined
    assert "own" in read_generations(empty_kafka).defined
    assert len(calls) == (1 if published else 2)
