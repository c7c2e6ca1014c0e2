"""Within a version an event only gains optional fields: older readers take what is sent, older records are read.

tests/contract/first/events.json has the events as they were recorded first, with all fields that were sent then.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.codec import decode, encode
from schemas.examples import EXAMPLES, NOON
from schemas.topics import Record, topic_of

_FIRST = json.loads((Path(__file__).parent / "first" / "events.json").read_text(encoding="utf-8"))
_OF_FIRST = [event for event in EXAMPLES.values() if event.type in _FIRST]


def without_new_fields(value: Any, schema: Any, root: Any) -> Any:  # noqa: ANN401 - JSON
    """The value with those fields only that the schema names, also within lists and objects."""
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, dict) and "properties" in schema:
        return {
            name: without_new_fields(value[name], known, root)
            for name, known in schema["properties"].items()
            if name in value
        }
    if isinstance(value, list) and "items" in schema:
        return [without_new_fields(one, schema["items"], root) for one in value]
    return value


def test_every_event_of_the_first_recording_is_still_there() -> None:
    assert {event.type for event in _OF_FIRST} == set(_FIRST)


@pytest.mark.parametrize("event", _OF_FIRST, ids=lambda event: event.type)
def test_what_is_sent_now_is_what_the_first_readers_expect(event: Any) -> None:  # noqa: ANN401
    Draft202012Validator(_FIRST[event.type]).validate(json.loads(event.model_dump_json()))


@pytest.mark.parametrize("event", _OF_FIRST, ids=lambda event: event.type)
def test_records_without_the_fields_that_were_added_since_are_read(event: Any) -> None:  # noqa: ANN401
    schema = _FIRST[event.type]
    value = without_new_fields(json.loads(event.model_dump_json()), schema, schema)
    first = encode(event, event_id="1", time=NOON)
    read = decode(topic_of(event), Record(first.key, json.dumps(value).encode(), first.headers))
    assert without_new_fields(json.loads(read.model_dump_json()), schema, schema) == value  # type: ignore[union-attr]


def test_fields_were_added_since() -> None:
    """So that the tests above have something to leave out."""
    (scan,) = [event for event in _OF_FIRST if event.type == "facestream.scan.analysed.v1"]
    schema, value = _FIRST[scan.type], json.loads(scan.model_dump_json())
    assert without_new_fields(value, schema, schema)["faces"][0].keys() < value["faces"][0].keys()
