"""Deltas of several transactions, other parameters and kills: a reader of the topics ends with what is live."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustering.clustering import Clustering, ClusteringInput, Parameters
from consumers.cluster import publication_of
from decisions.holding import DecisionDeleted
from schemas.decisions import Decision
from tests.builders.archive_history import random_batch
from tests.builders.neighbours import Held, hold
from tests.builders.oracle import assigned, expected_assignments
from tests.builders.topics import Killed, Topics, publish, start

_PARAMETERS = [
    Parameters(eps=eps, min_samples=min_samples, min_sharpness=min_sharpness)
    for eps in (1.0, 2.0, 2.5)
    for min_samples in (1, 2, 3)
    for min_sharpness in (None, 50.0)
]


class Consumer:
    """A cluster consumer on topics in memory. Its history is what `neighbours` and `labels` hold."""

    def __init__(self, rng: random.Random, chunk: int) -> None:
        self._rng = rng
        self._chunk = chunk
        self.topics = Topics()
        self._history: list[list[ClusteringInput]] = []
        self._parameters = rng.choice(_PARAMETERS)
        self._clustering = Clustering(self._parameters)
        self.kills = 0

    def process(self, batch: list[ClusteringInput], kill_after: int | None) -> None:
        """Process a batch; where it is killed, start again until it is done."""
        self._history.append(batch)
        try:
            self._step(kill_after)
        except Killed:
            self.kills += 1
            self.restart(self._maybe_other_parameters())

    def restart(self, parameters: Parameters) -> None:
        """Start with these parameters; killed again, perhaps, start with them or others again."""
        while True:
            try:
                self._start(parameters, self._rng.choice([None, 0, 1, 2, 3]))
            except Killed:
                self.kills += 1
                parameters = self._maybe_other_parameters()
            else:
                break
        assert self.topics.assignments == assigned(self._clustering)
        assert self.topics.sizes == self._clustering.sizes()

    def _start(self, parameters: Parameters, kill_after: int | None) -> None:
        self._parameters = parameters
        unfinished = self.topics.unfinished
        offset = unfinished.positions["neighbours", 0] if unfinished else self.topics.offset
        self._clustering = Clustering(parameters)
        self._clustering.apply([entry for batch in self._history[:offset] for entry in batch])
        start(self.topics, self._clustering, offset, self._chunk, kill_after)
        if offset < len(self._history):
            self._step(kill_after)

    def _step(self, kill_after: int | None) -> None:
        offset = len(self._history)
        publication = publication_of(self._clustering.apply(self._history[-1]))
        publish(self.topics, publication, offset, self._chunk, kill_after)

    def _maybe_other_parameters(self) -> Parameters:
        return self._parameters if self._rng.random() < 0.6 else self._rng.choice(_PARAMETERS)

    def expected(self) -> object:
        held: Held = {}
        decided: dict[str, Decision] = {}
        for entry in (entry for batch in self._history for entry in batch):
            if isinstance(entry, Decision):
                decided[entry.decision_id] = entry
            elif isinstance(entry, DecisionDeleted):
                decided.pop(entry.decision_id, None)
            else:
                hold(held, [entry])
        right = expected_assignments(held, self._parameters, decided.values())
        return {face_id: (one.cluster_id, one.role, one.hard_label) for face_id, one in right.items()}


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 4), st.lists(st.integers(1, 8), min_size=1, max_size=8))
def test_after_any_kills_and_parameters_a_reader_has_the_assignments_and_sizes_that_are_live(
    rng: random.Random, chunk: int, sizes: list[int]
) -> None:
    """`Topics` checks each transaction and each completed delta."""
    consumer = Consumer(rng, chunk)
    for size in sizes:
        consumer.process(random_batch(rng, size), rng.choice([None, None, 0, 1, 2, 3, 5]))
        if rng.random() < 0.3:
            consumer.restart(rng.choice(_PARAMETERS))
    published = consumer.topics.assignments
    assert {
        face_id: (one.cluster_id, one.role, one.hard_label) for face_id, one in published.items()
    } == consumer.expected()
