"""What is left of an embedding or an id is found, in whatever form and wherever it lies."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from erasure.search import Finder, Trace, embedding_traces, text_traces

GENERATOR = np.random.default_rng(5)
VECTORS = GENERATOR.normal(0, 0.1, (40, 128)).astype("<f4")
EMBEDDING, OTHERS = VECTORS[0].tobytes(), [vector.tobytes() for vector in VECTORS[1:]]
FINDER = Finder([trace for vector in VECTORS[:20] for trace in embedding_traces(vector.tobytes())])
NOISE = GENERATOR.bytes(300_000)


@pytest.mark.parametrize("before", range(9))
def test_an_embedding_is_found_wherever_it_begins(before: int) -> None:
    begin = NOISE[: 1000 + before]
    assert FINDER.found(begin + EMBEDDING + NOISE)["embedding"]
    assert FINDER.found(begin + VECTORS[0].astype(">f4").tobytes() + NOISE)["embedding"]
    encoded = base64.b64encode(NOISE[:before] + EMBEDDING + NOISE[:7])
    assert FINDER.found(begin + encoded + NOISE)["embedding as base64"]


def test_one_that_a_page_of_a_log_divides_is_found() -> None:
    for cut in range(0, 512, 8):
        assert FINDER.found(EMBEDDING[:cut] + NOISE[:24] + EMBEDDING[cut:])["embedding"]
    assert FINDER.found(EMBEDDING[101:125])["embedding"], "24 bytes are enough"


def test_numbers_as_text_are_found() -> None:
    text = "[" + ",".join(map(str, VECTORS[0])) + "]"
    assert FINDER.found(text.encode())["embedding as text"]


def test_what_is_not_searched_for_is_not_found() -> None:
    others = b"".join(VECTORS[number].tobytes() for number in range(20, 40))
    assert FINDER.found(NOISE + others + base64.b64encode(others) + NOISE) == {}
    assert Finder([]).found(NOISE) == {}
    assert embedding_traces(bytes(512)) == [], "zeros are everywhere"


def test_an_id_is_found_as_text_and_as_json_has_it() -> None:
    finder = Finder(text_traces("põhja-jõe/1.jpg", "scan id"))
    assert finder.found(b"...p\xc3\xb5hja-j\xc3\xb5e/1.jpg...") == {"scan id": 1}
    assert finder.found(json.dumps({"scan": "põhja-jõe/1.jpg"}).encode()) == {"scan id": 1}
    assert finder.found(b"...p\xc3\xb5hja-j\xc3\xb5e/2.jpg...") == {}


def test_many_traces_with_one_beginning_are_counted_each() -> None:
    finder = Finder([Trace(b"beginning-one", "one"), Trace(b"beginning-other", "other")])
    assert finder.found(b"x beginning-other, beginning-one, beginning-other") == {"one": 1, "other": 2}
