"""What all events share: immutability, versioned types, bounds, and vectors as base64 of little-endian float32.

Every number, text and list has a bound: what is beyond it was made by a mistake, and would stop a consumer later.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    PlainSerializer,
    WithJsonSchema,
)


class Value(BaseModel):
    """A frozen value inside an event. Fields that a newer writer added are ignored; NaN and infinity are refused."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Event(Value):
    """The value of a record. Its CloudEvents type ends in the version of its schema; its key is the record's key."""

    type: ClassVar[str]

    @property
    def key(self) -> str:
        """The record's key: on a compacted topic, the latest record of a key supersedes the earlier ones."""
        raise NotImplementedError


def _from_base64(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64 ({error})") from error


def _whole_float32(value: bytes) -> bytes:
    if not value or len(value) % 4:
        raise ValueError(f"a float32 vector has a multiple of 4 bytes, this one has {len(value)}")
    return value


Float32Vector = Annotated[
    bytes,
    BeforeValidator(_from_base64),
    AfterValidator(_whole_float32),
    PlainSerializer(lambda value: base64.b64encode(value).decode("ascii"), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
"""A vector as raw little-endian float32 bytes; in JSON, standard base64 (RFC 4648, section 4) of them."""

Time = Annotated[AwareDatetime, Field(ge=datetime(1900, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC))]
"""A moment with its offset from UTC; in JSON, RFC 3339. In these years every time zone and database can hold it."""

EMBEDDING_DIMENSIONS = 128
"""The length of an embedding of dlib's face recognition network. Those of other embedders may have other lengths."""

MOST_DIMENSIONS = 2_000
"""The longest embedding: of more numbers pgvector makes no index."""

DLIB_EMBEDDER = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
"""dlib's published face recognition network, by the sha256 of its file (models.weights)."""

# The components of dlib's embeddings are below 1. Far beyond this, a squared distance is no float32 any more.
_LARGEST_COMPONENT = 1000.0


MOST_ID_BYTES = 1_300
"""So much an entry of PostgreSQL's B-tree indexes holds of each of two ids: 2,704 bytes together."""


def _short_id(value: str) -> str:
    if len(value.encode()) > MOST_ID_BYTES:
        raise ValueError(f"an id has at most {MOST_ID_BYTES} bytes in UTF-8")
    return value


Id = Annotated[str, Field(min_length=1, max_length=MOST_ID_BYTES)]
"""An id that another record introduced. Its length in bytes was checked there: here it would cost too much."""

NewId = Annotated[Id, AfterValidator(_short_id)]
"""An id where it first appears."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

Word = Annotated[str, Field(max_length=1_000)]
"""A short text: the name of an engine, a media type, a collection."""

Text = Annotated[str, Field(max_length=1_000_000)]
"""A text that a person wrote."""

Offset = Annotated[int, Field(ge=0, lt=2**63)]
"""An offset in a topic, and so the number of an analysis."""

Count = Annotated[int, Field(ge=0, lt=2**31)]
"""A number of pixels, pages or passes."""

Positive = Annotated[int, Field(ge=1, lt=2**31)]
"""A page, a side in pixels, a number of faces: 1 or more."""

LARGEST_DISTANCE = 1_000

Distance = Annotated[float, Field(ge=0, le=LARGEST_DISTANCE)]
"""Between two embeddings."""

# Of a list with a fault in it the first one is reported: a million reports would take a minute.
first_fault = FailFast()


def check_embeddings(embeddings: Sequence[bytes], embedder: str | None = None) -> None:
    """Raises ValueError where they differ in length or one has numbers that are not of a sensible size.

    Those of dlib's embedder, which is meant where none is named, have EMBEDDING_DIMENSIONS numbers.
    """
    lengths = {len(embedding) // 4 for embedding in embeddings}
    if embedder in (None, DLIB_EMBEDDER) and (wrong := lengths - {EMBEDDING_DIMENSIONS}):
        raise ValueError(f"an embedding has {EMBEDDING_DIMENSIONS} numbers, this one has {min(wrong)}")
    if len(lengths) > 1:
        raise ValueError(f"embeddings of one network have one length, these have {min(lengths)} and {max(lengths)}")
    if max(lengths, default=0) > MOST_DIMENSIONS:
        raise ValueError(f"an embedding has {MOST_DIMENSIONS:,} numbers at most, this one has {max(lengths):,}")
    check_numbers(embeddings)


def check_numbers(vectors: Sequence[bytes]) -> None:
    """Raises ValueError where a number of these float32 vectors, of whatever length, is not of a sensible size."""
    if not vectors:
        return
    # Imported here: most commands that read events use no vectors, and numpy takes 70 ms.
    import numpy as np

    numbers = np.frombuffer(b"".join(vectors), dtype="<f4")
    # With a NaN among them both are NaN, and the comparison is false.
    if not (numbers.max() <= _LARGEST_COMPONENT and numbers.min() >= -_LARGEST_COMPONENT):
        raise ValueError(f"an embedding has a number that is none, or is beyond {_LARGEST_COMPONENT:g}")
