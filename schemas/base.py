"""What all events share: immutability, versioned types, and vectors as base64 of little-endian float32."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, PlainSerializer


class Value(BaseModel):
    """A frozen value inside an event. Fields that a newer writer added are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


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
]
"""A vector as raw little-endian float32 bytes; in JSON, standard base64 (RFC 4648, section 4) of them."""

Time = AwareDatetime
"""A moment with its offset from UTC; in JSON, RFC 3339."""
