"""The search for what is left of erased faces in bytes: their embeddings in every form that is written, and their ids.

An embedding is looked for in parts: of its float32 bytes, of their base64 at each of the three phases, and of the
numbers as PostgreSQL prints them. A part is found wherever it begins. So an embedding is found also where a page, a
block or a record of a log divides it.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

# What is compared first, at every position: so many bytes.
_ANCHOR = 8
# What has to agree then, of an embedding: four numbers, sixteen characters of base64.
_AGREES = 16
_TABLE_BITS = 22
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_AT_ONCE = 4 * 2**20

LONGEST = 4096
"""A trace is shorter: pieces that are searched one after the other have to overlap by so many bytes."""


@dataclass(frozen=True)
class Trace:
    """Bytes that are looked for, and what they are of: `kind` is shown to a person, and says nothing of whom."""

    content: bytes
    kind: str


def embedding_traces(embedding: bytes) -> list[Trace]:
    """The traces of an embedding: little-endian float32, of any length that is a multiple of 4 bytes."""
    # PostgreSQL has the bytes as they are in its pages, and in the reverse order in its protocol.
    reversed_ = np.frombuffer(embedding, dtype="<f4").astype(">f4").tobytes()
    traces = [
        Trace(form[at : at + _AGREES], "embedding")
        for form in (embedding, reversed_)
        for at in _windows(len(embedding), 8)
    ]
    for phase in range(3):
        # The text as it is where the bytes before take up `phase` bytes of a group of three.
        whole = embedding[(3 - phase) % 3 :]
        text = base64.b64encode(whole[: len(whole) // 3 * 3])
        traces += [Trace(text[at : at + _AGREES], "embedding as base64") for at in _windows(len(text), 8)]
    numbers = [str(number).encode() for number in np.frombuffer(embedding, dtype="<f4")]
    for one, other in pairwise(numbers):
        content = one + b"," + other
        if len(content) >= _AGREES:
            traces.append(Trace(content, "embedding as text"))
    # Numbers that are 0, as in a part of a vector that somebody made, are everywhere.
    return [trace for trace in traces if len(set(trace.content)) > 4]


def text_traces(text: str, kind: str) -> list[Trace]:
    """The traces of an id or another text: as UTF-8, and as JSON has it where letters are escaped."""
    forms = {text.encode(), json.dumps(text)[1:-1].encode()}
    return [Trace(form, kind) for form in sorted(forms) if _ANCHOR <= len(form) < LONGEST]


class Finder:
    """Finds traces, also many at once."""

    def __init__(self, traces: Iterable[Trace]) -> None:
        self._by_anchor: dict[int, list[Trace]] = {}
        for trace in set(traces):
            anchor = int.from_bytes(trace.content[:_ANCHOR], "little")
            self._by_anchor.setdefault(anchor, []).append(trace)
        self._anchors = np.array(sorted(self._by_anchor), dtype=np.uint64)
        # Most positions are ruled out by one look into a table.
        self._table: npt.NDArray[np.bool_] = np.zeros(2**_TABLE_BITS, dtype=np.bool_)
        self._table[_buckets(self._anchors)] = True

    def found(self, content: bytes | memoryview) -> Mapping[str, int]:
        """How many traces of each kind are in these bytes."""
        counts: Counter[str] = Counter()
        if not self._by_anchor:
            return counts
        for start in range(0, len(content), _AT_ONCE):
            for shift in range(_ANCHOR):
                begin = start + shift
                size = (min(len(content), start + _AT_ONCE + shift) - begin) // _ANCHOR
                if size <= 0:
                    continue
                words = np.frombuffer(content, dtype="<u8", count=size, offset=begin)
                maybe = np.flatnonzero(self._table[_buckets(words)])
                place = np.minimum(np.searchsorted(self._anchors, words[maybe]), len(self._anchors) - 1)
                for position in maybe[self._anchors[place] == words[maybe]].tolist():
                    at = begin + position * _ANCHOR
                    for trace in self._by_anchor[int(words[position])]:
                        counts[trace.kind] += content[at : at + len(trace.content)] == trace.content
        return +counts


def _windows(length: int, step: int) -> Iterable[int]:
    return range(0, length - _AGREES + 1, step)


def _buckets(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    return np.asarray((words * _MULTIPLIER) >> np.uint64(64 - _TABLE_BITS), dtype=np.uint64)
