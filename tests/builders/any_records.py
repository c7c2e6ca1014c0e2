"""Records drawn by chance: bytes of any kind, and events in which something is another than it should be."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from schemas.base import Event
from schemas.codec import encode
from schemas.topics import NotUtf8, Record
from tests.builders.clock import NOON
from tests.builders.hostile import EXAMPLES

# What has broken something somewhere, as JSON.
_ODD = (
    *("null", "true", "0", "-1", "1e308", "1e400", "-0.0", "NaN", "Infinity", str(2**31), str(2**63), "9" * 400),
    *('""', '"x"', '"\\u0000"', '"\\ud800"', '"\\u202e"', '"0001-01-01T00:00:00Z"', '"9999-12-31T23:59:59-14:00"'),
    *("[]", "{}", "[[]]", "[null]", '[""]', "[0.5]", "[" * 500, '{"":{}}', "[1,1]"),
)
_names = st.one_of(
    st.sampled_from(["ce_type", "ce_specversion", "ce_id", "ce_time", "dead_letter_topic", "dead_letter_time", ""]),
    st.text(max_size=5),
    st.binary(max_size=5).map(lambda name: b"\xff" + name).map(NotUtf8),
)
_headers = st.lists(
    st.tuples(
        _names,
        st.one_of(
            st.none(),
            st.binary(max_size=10),
            st.sampled_from([b"1.0", *(event.type.encode() for event in EXAMPLES)]),
        ),
    ),
    max_size=6,
)
bytes_of_any_kind = st.builds(
    Record,
    st.one_of(st.none(), st.binary(max_size=20)),
    st.one_of(st.none(), st.binary(max_size=60), st.sampled_from([text.encode() for text in _ODD])),
    _headers.map(tuple),
)
"""Records without any sense."""


@st.composite
def altered(draw: st.DrawFn, event: Event) -> Record:
    """The record of an event in which a value is an odd one, a field is missing, bytes are others, or all is well."""
    record = encode(event, event_id="1", time=NOON)
    value = record.value or b""
    kind = draw(st.sampled_from(["values", "values", "values", "bytes", "headers"]))
    if kind == "values":
        places = _places(json.loads(value))
        for _ in range(draw(st.integers(0, 2))):
            value = _with_odd(value, draw(st.sampled_from(places)), draw(st.one_of(st.none(), st.sampled_from(_ODD))))
    elif kind == "bytes":
        position = draw(st.integers(0, len(value) - 1))
        value = value[:position] + draw(st.binary(max_size=3)) + value[position + draw(st.integers(0, 3)) :]
    headers = record.headers
    if kind == "headers":
        headers = (*headers[: draw(st.integers(0, len(headers)))], *draw(_headers))
    return Record(record.key, value, headers)


def _places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:  # noqa: ANN401 - JSON
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, one in items for place in ((*path, key), *_places(one, (*path, key)))]


def _with_odd(value: bytes, place: tuple[str | int, ...], odd: str | None) -> bytes:
    """A value with other JSON at this place, which need not be JSON; None: without anything there."""
    try:
        tree = json.loads(value)
        *path, last = place
        inner = tree
        for step in path:
            inner = inner[step]
        if odd is None:
            del inner[last]
            return json.dumps(tree).encode()
        inner[last] = "\ue000"
    except (ValueError, TypeError, LookupError, RecursionError):
        # What is in the way is odd already.
        return value
    return json.dumps(tree, ensure_ascii=False).replace('"\ue000"', odd).encode(errors="surrogatepass")
