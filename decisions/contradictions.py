"""Contradictions among the decisions that hold, and the decisions that together make one. Pure.

Linked faces are one person, also through a chain of links, and separated faces are two people.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import combinations, product
from typing import Literal, NamedTuple

from decisions.holding import Decisions
from schemas.decisions import Decision, FaceNamed, NameRejected, NotAFace, PairDecision


class Contradiction(NamedTuple):
    """Two faces about which not all decisions can be true.

    linked-and-separated: both hold, through whichever links. linked-with-two-labels: their hard labels differ.
    rejected-label: linked or the same face, `label_id` being the hard label of the first and rejected for the second.
    separated-with-one-label: each has `label_id`, or is linked with a face that has.
    """

    face_id: str
    other_face_id: str
    kind: Literal["linked-and-separated", "linked-with-two-labels", "rejected-label", "separated-with-one-label"]
    label_id: str = ""


def contradictions(decisions: Decisions, face_ids: Iterable[str]) -> set[Contradiction]:
    """All contradictions among these faces, the faces linked with them, and the faces separated from any of those."""
    found: set[Contradiction] = set()
    seen: set[str] = set()
    for face_id in face_ids:
        if face_id not in seen:
            linked = _linked_with(decisions, face_id)
            seen |= linked
            found.update(_contradictions_within(decisions, linked), _contradictions_around(decisions, linked))
    return found


def _contradictions_within(decisions: Decisions, linked: Collection[str]) -> Iterator[Contradiction]:
    """Those among faces that are linked with each other."""
    labelled: defaultdict[str, list[str]] = defaultdict(list)
    for face_id, label_id in _hard_labels(decisions, linked).items():
        labelled[label_id].append(face_id)
    for one, other in combinations(labelled.values(), 2):
        for pair in product(one, other):
            yield Contradiction(min(pair), max(pair), "linked-with-two-labels")
    for other_id in linked:
        for label_id in decisions.labels(other_id).rejected:
            for face_id in labelled.get(label_id, ()):
                yield Contradiction(face_id, other_id, "rejected-label", label_id)


def _contradictions_around(decisions: Decisions, linked: Collection[str]) -> Iterator[Contradiction]:
    """Those between faces that are linked with each other, and the faces that these are separated from."""
    labels = set(_hard_labels(decisions, linked).values())
    for face_id in linked:
        for other in decisions.separated(face_id):
            pair = min(face_id, other), max(face_id, other)
            if other in linked:
                yield Contradiction(*pair, "linked-and-separated")
            elif labels:
                others = _hard_labels(decisions, _linked_with(decisions, other))
                for label_id in labels & set(others.values()):
                    yield Contradiction(*pair, "separated-with-one-label", label_id)


def evidence(decisions: Decisions, contradiction: Contradiction) -> list[Decision]:
    """The decisions that together make the contradiction."""
    face_id, other, kind, label_id = contradiction
    if kind == "separated-with-one-label":
        return [
            pair_decision(decisions, face_id, other),
            *_path_to_label(decisions, face_id, label_id),
            *_path_to_label(decisions, other, label_id),
        ]
    path = _link_paths(decisions, face_id)[other]
    if kind == "linked-and-separated":
        return [pair_decision(decisions, face_id, other), *path]
    against = naming(decisions, other) if kind == "linked-with-two-labels" else rejection(decisions, other, label_id)
    return [naming(decisions, face_id), against, *path]


def _linked_with(decisions: Decisions, face_id: str) -> set[str]:
    """The faces linked with this one, also through others and itself included."""
    linked = {face_id}
    pending = [face_id]
    while pending:
        further = decisions.linked(pending.pop()).keys() - linked
        linked |= further
        pending += further
    return linked


def _link_paths(decisions: Decisions, face_id: str) -> dict[str, list[Decision]]:
    """The faces linked with this one, also through others and itself included, each with the shortest path of links.

    Breadth-first, so nearer faces come first.
    """
    paths: dict[str, list[Decision]] = {face_id: []}
    queue = deque([face_id])
    while queue:
        current = queue.popleft()
        for other in sorted(decisions.linked(current)):
            if other not in paths:
                paths[other] = [*paths[current], pair_decision(decisions, current, other)]
                queue.append(other)
    return paths


def _hard_labels(decisions: Decisions, face_ids: Iterable[str]) -> dict[str, str]:
    """The hard labels of these faces; faces without one are left out."""
    labels = {face_id: decisions.labels(face_id).hard for face_id in face_ids}
    return {face_id: label_id for face_id, label_id in labels.items() if label_id is not None}


def _path_to_label(decisions: Decisions, face_id: str, label_id: str) -> list[Decision]:
    """The links from a face to the nearest face with this hard label, and that face's naming."""
    paths = _link_paths(decisions, face_id)
    nearest = next(face for face, label in _hard_labels(decisions, paths).items() if label == label_id)
    return [*paths[nearest], naming(decisions, nearest)]


def naming(decisions: Decisions, face_id: str) -> Decision:
    """The naming that a face has its hard label from."""
    return _required(latest(decisions, face_id, lambda decision: isinstance(decision, FaceNamed)))


def not_a_face(decisions: Decisions, face_id: str) -> Decision:
    """The decision that a face, which is not one, is not one."""
    return _required(latest(decisions, face_id, lambda decision: isinstance(decision, NotAFace)))


def rejection(decisions: Decisions, face_id: str, label_id: str) -> Decision:
    """The decision that a face is never the person of a label id that is rejected for it."""

    def rejects(decision: Decision) -> bool:
        return (
            isinstance(decision, NameRejected)
            and decisions.person_of(decision.label_id) == label_id
            and decisions.count(decision)
        )

    return _required(latest(decisions, face_id, rejects))


def pair_decision(decisions: Decisions, face_id: str, other: str) -> Decision:
    """The decision that takes effect about two faces that are linked or separated."""

    def is_about_pair(decision: Decision) -> bool:
        return isinstance(decision, PairDecision) and set(decision.face_ids) == {face_id, other}

    return _required(latest(decisions, face_id, is_about_pair))


def latest(decisions: Decisions, face_id: str, matches: Callable[[Decision], bool]) -> Decision | None:
    """The latest decision about a face that holds and matches."""
    return latest_of(decisions, decisions.history(face_id), matches)


def latest_of(
    decisions: Decisions, history: Sequence[Decision], matches: Callable[[Decision], bool]
) -> Decision | None:
    """Of decisions in their order, the latest that holds and matches."""
    return next((decision for decision in reversed(history) if decisions.holds(decision) and matches(decision)), None)


def _required(decision: Decision | None) -> Decision:
    if decision is None:
        raise LookupError("a label, rejection, link, separation or missing face holds without a decision")
    return decision
