"""Whatever the bytes of a record are, they are an event or are refused with a reason; nothing else is raised."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.base import Event
from schemas.codec import InvalidRecord, decode, encode
from schemas.dead_letters import DeadLetter, decode_dead_letter, encode_dead_letter
from schemas.topics import TOPICS, Record, Tombstone, topic_of
from tests.builders.any_records import altered, bytes_of_any_kind
from tests.builders.clock import NOON
from tests.builders.hostile import EXAMPLES, SKIPPED, wrong_values


def test_there_is_an_event_of_every_type_and_something_wrong_with_each() -> None:
    kinds = {event for topic in TOPICS for event in topic.events}
    assert {type(event) for event in EXAMPLES} == kinds
    assert {one.name.partition(": ")[0] for one in wrong_values()} == {event.type for event in kinds}


def test_what_nothing_may_have_is_refused() -> None:
    for one in wrong_values():
        with pytest.raises(InvalidRecord) as refused:
            decode(one.topic, one.record)
        assert one.outcome in (SKIPPED, str(refused.value)[: len(one.outcome)]), one.name


@settings(max_examples=300, deadline=None)
@given(bytes_of_any_kind)
def test_bytes_of_any_kind_are_refused_or_are_a_tombstone_in_every_topic(record: Record) -> None:
    for topic in TOPICS:
        try:
            message = decode(topic, record)
        except InvalidRecord as error:
            assert str(error)
        else:
            assert isinstance(message, Tombstone)


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.type)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_an_event_in_which_anything_is_another_is_refused_or_comes_back_as_it_was(
    event: Event, data: st.DataObject
) -> None:
    topic = topic_of(event)
    try:
        message = decode(topic, data.draw(altered(event)))
    except InvalidRecord as error:
        assert len(str(error)) < 1_000
    else:
        assert decode(topic, encode(message, event_id="1", time=NOON)) == message


@settings(max_examples=300, deadline=None)
@given(bytes_of_any_kind, st.text(max_size=20), st.integers(0, 2_000))
def test_every_record_fits_into_a_dead_letter_and_comes_out_as_it_was(record: Record, reason: str, most: int) -> None:
    letter = DeadLetter(record, "scans", 3, 17, "detect", reason, NOON)
    back = decode_dead_letter(encode_dead_letter(letter, 2**20))
    assert isinstance(back, DeadLetter)
    assert back.original == record
    cut = decode_dead_letter(encode_dead_letter(letter, most))
    assert isinstance(cut, DeadLetter)
    assert cut.cut is not None or cut.original == record
    assert (cut.topic, cut.partition, cut.offset, cut.consumer) == ("scans", 3, 17, "detect")


@settings(max_examples=300, deadline=None)
@given(bytes_of_any_kind)
def test_a_foreign_record_in_dead_letters_is_refused(record: Record) -> None:
    with pytest.raises(InvalidRecord):
        decode_dead_letter(record)
