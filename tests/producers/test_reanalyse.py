"""Publishing scans again on a real broker: as they are, with the faces to keep."""

from __future__ import annotations

import pytest

from erasure.digests import Digests, new_key
from errors import UserError
from producers.erasure_plan import Plan, record_of
from producers.reanalyse import chosen_scans, publish_again
from schemas.erasures import ErasureState
from schemas.topics import ERASURES, SCANS, Tombstone
from settings import KafkaSettings
from stream.rolling import roll
from tests.builders.clock import NOON
from tests.builders.feed import analysis, box, feed_scans, kept, published_scans, scan
from tests.builders.kafka import publish


def test_scans_are_published_as_they_are_with_the_faces_found_on_them(kafka: KafkaSettings, collection: str) -> None:
    one, two = scan(collection, "1.jpg"), scan(collection, "2.jpg")
    feed_scans(kafka, one, two)
    first = analysis(one, left=box(0.1), right=box(0.3))
    publish(kafka, [first])
    again = list(publish_again(kafka, chosen_scans(kafka, [one.scan_id]), lambda: NOON))
    keep = (kept(first, "left"), kept(first, "right"))
    assert again == [one.model_copy(update={"keep": keep})]
    assert [scan for scan in published_scans(kafka, collection) if scan.scan_id == one.scan_id] == [one, *again]
    assert len(published_scans(kafka, collection)) == 3
    # The feed still knows the scan, and what the new analysis does not find is kept for the next.
    feed_scans(kafka, one)
    second = analysis(again[0], left=box(0.11))
    publish(kafka, [second])
    (third,) = publish_again(kafka, chosen_scans(kafka, [one.scan_id]), lambda: NOON)
    assert third.keep == (kept(second, "left"), kept(first, "right", live=False))


def test_scans_are_chosen_by_id_or_by_collection_and_withdrawn_ones_are_not(
    kafka: KafkaSettings, collection: str
) -> None:
    names = [f"{collection}/{number}.jpg" for number in (1, 2, 3)]
    feed_scans(kafka, *(scan(collection, name.split("/")[1]) for name in names))
    feed_scans(kafka, scan("elsewhere", f"{collection}.jpg"))
    publish(kafka, [Tombstone(SCANS, names[2])])
    assert sorted(chosen_scans(kafka, collection=collection).scans) == names[:2]
    assert sorted(chosen_scans(kafka, [f"elsewhere/{collection}.jpg"], collection).scans) == sorted(
        [*names[:2], f"elsewhere/{collection}.jpg"]
    )
    assert {*names[:2], f"elsewhere/{collection}.jpg"} <= set(chosen_scans(kafka).scans)
    with pytest.raises(UserError, match=f"no scan '{names[2]}' is published: nothing is analysed again"):
        chosen_scans(kafka, [names[0], names[2]])
    with pytest.raises(UserError, match="no scan of a collection 'nowhere' is published: nothing is analysed again"):
        chosen_scans(kafka, collection="nowhere")


def test_what_is_withdrawn_or_changed_while_scans_are_published_again_stays_so(
    kafka: KafkaSettings, collection: str
) -> None:
    feed_scans(kafka, *(scan(collection, f"{number:03}.jpg") for number in range(450)))
    chosen = chosen_scans(kafka, collection=collection)
    first, second, *_, third, last = chosen.scans.values()
    # Between the reading and the first portion, and between the first portion and the next.
    publish(kafka, [Tombstone(SCANS, second.scan_id)])
    again = publish_again(kafka, chosen, lambda: NOON)
    published = [next(again)]
    changed = last.model_copy(update={"sha256": "1" * 64})
    publish(kafka, [Tombstone(SCANS, first.scan_id), Tombstone(SCANS, third.scan_id), changed])
    published += again
    left_out = {second.scan_id, third.scan_id, last.scan_id}
    assert {one.scan_id for one in published} == chosen.scans.keys() - left_out
    present = chosen_scans(kafka, collection=collection).scans
    assert present.keys() == chosen.scans.keys() - {first.scan_id, second.scan_id, third.scan_id}
    assert present[last.scan_id] == changed


def test_two_who_publish_the_same_again_at_once_both_do(kafka: KafkaSettings, collection: str) -> None:
    one = scan(collection, "1.jpg")
    feed_scans(kafka, one)
    first, second = (chosen_scans(kafka, collection=collection) for _ in range(2))
    for chosen in (first, second):
        assert [scan.scan_id for scan in publish_again(kafka, chosen, lambda: NOON)] == [one.scan_id]


def test_nothing_is_published_again_once_an_erasure_has_begun(kafka: KafkaSettings, collection: str) -> None:
    one = scan(collection, "1.jpg")
    feed_scans(kafka, one)
    publish(kafka, [analysis(one, anna=box(0.1))])
    chosen = chosen_scans(kafka, [one.scan_id])
    plan = Plan(erasure_id=collection, begun_at=NOON, what="face")
    publish(kafka, [record_of(plan, Digests(new_key()), ErasureState.BEGUN)])
    with pytest.raises(UserError, match="something is being erased"):
        list(publish_again(kafka, chosen, lambda: NOON))
    assert published_scans(kafka, collection) == [one]
    assert len(list(publish_again(kafka, chosen_scans(kafka, [one.scan_id]), lambda: NOON))) == 1


def test_a_segment_that_is_closed_meanwhile_is_no_erasure(kafka: KafkaSettings, collection: str) -> None:
    one = scan(collection, "1.jpg")
    feed_scans(kafka, one)
    chosen = chosen_scans(kafka, [one.scan_id])
    roll(kafka, [ERASURES])
    assert [scan.scan_id for scan in publish_again(kafka, chosen, lambda: NOON)] == [one.scan_id]
