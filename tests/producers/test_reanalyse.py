"""Publishing scans again on a real broker: as they are, with the faces to keep."""

from __future__ import annotations

import pytest

from errors import UserError
from producers.reanalyse import chosen_scans, publish_again
from schemas.topics import SCANS, Tombstone
from settings import KafkaSettings
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
    assert sorted(chosen_scans(kafka, collection=collection)) == names[:2]
    assert sorted(chosen_scans(kafka, [f"elsewhere/{collection}.jpg"], collection)) == sorted(
        [*names[:2], f"elsewhere/{collection}.jpg"]
    )
    assert {*names[:2], f"elsewhere/{collection}.jpg"} <= set(chosen_scans(kafka))
    with pytest.raises(UserError, match=f"no scan '{names[2]}' is published: nothing is analysed again"):
        chosen_scans(kafka, [names[0], names[2]])
    with pytest.raises(UserError, match="no scan of a collection 'nowhere' is published: nothing is analysed again"):
        chosen_scans(kafka, collection="nowhere")
