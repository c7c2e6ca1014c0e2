"""Which records of `neighbours` and `labels` a clustering can take, and why it cannot take the others."""

from __future__ import annotations

from collections.abc import Sequence

from clustering.clustering import Clustering, ClusteringInput, DecisionDeleted, NeighboursWithdrawn
from errors import Fatal
from schemas.claims import refused_claims
from schemas.neighbours import NeighboursFound, parse_neighbours_key
from schemas.topics import LABELS, Tombstone
from stream.records import Received, Rejected


def inputs_of(clustering: Clustering, batch: Sequence[Received]) -> tuple[list[ClusteringInput], list[Rejected]]:
    """What of a batch can be applied, in its order, and the other records with the reasons.

    Those reach less far than eps, or have a face that another scan has. Raises Fatal where none reaches as far: then
    eps is beyond eps_max.
    """
    inputs: list[tuple[Received, ClusteringInput]] = []
    rejected: list[Rejected] = []
    for received in batch:
        message = received.message
        try:
            if isinstance(message, ClusteringInput):
                inputs.append((received, message))
            elif isinstance(message, Tombstone):
                inputs.append((received, _deletion(message)))
        except ValueError as error:
            rejected.append(Rejected(received, str(error)))
    usable, refused = _usable(clustering, inputs)
    return usable, [*rejected, *refused]


def _usable(
    clustering: Clustering, inputs: Sequence[tuple[Received, ClusteringInput]]
) -> tuple[list[ClusteringInput], list[Rejected]]:
    """The inputs that can be applied, and the others as rejections. Raises Fatal, see `inputs_of`."""
    rejected: list[Rejected] = []
    too_short: dict[str, str] = {}
    reaching = clustering.graph.records.scans.used
    # Claims are made by what can be applied: a record that is refused neither takes faces nor gives any back.
    long_enough: list[tuple[Received, ClusteringInput]] = []
    for received, entry in inputs:
        if isinstance(entry, NeighboursFound):
            short = clustering.graph.records.problem(entry)
            if short is not None:
                too_short[entry.scan_id] = short
                rejected.append(Rejected(received, short))
                continue
            reaching += 1
        long_enough.append((received, entry))
    if len(too_short) > max(1, reaching):
        # Not one foreign record, but most that the index has published: the settings do not fit.
        # Without them nearly all that is published would be removed.
        raise Fatal(next(iter(too_short.values())))
    claims = _claims(clustering, [entry for _, entry in long_enough])
    face_ids = {face_id for _, claimed in claims.values() for face_id in claimed}
    reasons = refused_claims(claims.values(), clustering.graph.scans_of(face_ids))
    refusals = dict(zip(claims, reasons, strict=True))
    usable: list[ClusteringInput] = []
    for number, (received, entry) in enumerate(long_enough):
        refusal = refusals.get(number)
        if refusal is None:
            usable.append(entry)
        else:
            rejected.append(Rejected(received, refusal))
    return usable, rejected


def _claims(clustering: Clustering, entries: Sequence[ClusteringInput]) -> dict[int, tuple[str, list[str]]]:
    """By the numbers of the entries by which a scan comes to have other faces: the scan, and these.

    An analysis that is no longer the scan's latest is ignored, and so claims nothing.
    """
    latest = clustering.graph.records.analyses_of(
        entry.scan_id for entry in entries if isinstance(entry, NeighboursFound)
    )
    claims: dict[int, tuple[str, list[str]]] = {}
    for number, entry in enumerate(entries):
        if isinstance(entry, NeighboursWithdrawn):
            latest.pop(entry.scan_id, None)
            claims[number] = entry.scan_id, []
        elif isinstance(entry, NeighboursFound) and entry.analysis >= latest.get(entry.scan_id, entry.analysis):
            latest[entry.scan_id] = entry.analysis
            claims[number] = entry.scan_id, [face.face_id for face in entry.faces]
    return claims


def _deletion(tombstone: Tombstone) -> ClusteringInput:
    if tombstone.topic == LABELS:
        return DecisionDeleted(tombstone.key)
    return NeighboursWithdrawn(*parse_neighbours_key(tombstone.key))
