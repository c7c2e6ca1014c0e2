"""dlib's serialisation, value by value (dlib/serialize.h, dnn/tensor_tools.h): integers, floats, names, tensors."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

_LONGEST_NAME = 64
_LARGEST_TENSOR = 2**28
# What stands for an exponent where a float is no finite number.
_NOT_FINITE = {32000: math.inf, 32001: -math.inf, 32002: math.nan}


class Unexpected(Exception):
    """The bytes are not what was to come. The text says what and where, for a person."""


class DlibStream:
    """Reads values one after another. Every method raises Unexpected where they are not there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def at_end(self) -> bool:
        """Whether all bytes are read."""
        return self._at == len(self._data)

    def expect(self, holds: bool, what: str) -> None:
        """Raise Unexpected unless it holds."""
        if not holds:
            raise Unexpected(f"expected {what} before byte {self._at:,} of {len(self._data):,}")

    def integer(self) -> int:
        """A byte with the length (low half) and the sign (top bit), then the magnitude, least byte first."""
        head = self._take(1)[0]
        length = head & 0x0F
        self.expect(head & 0x70 == 0 and length <= 8, "an integer")
        magnitude = int.from_bytes(self._take(length), "little")
        return -magnitude if head & 0x80 else magnitude

    def boolean(self) -> bool:
        """The character 0 or 1."""
        byte = self._take(1)
        self.expect(byte in (b"0", b"1"), "a boolean")
        return byte == b"1"

    def real(self) -> float:
        """A mantissa and a binary exponent."""
        mantissa, exponent = self.integer(), self.integer()
        if exponent in _NOT_FINITE:
            return _NOT_FINITE[exponent]
        self.expect(abs(exponent) < 1100, "a float")
        return math.ldexp(mantissa, exponent)

    def name(self) -> str:
        """A length and that many characters."""
        length = self.integer()
        self.expect(0 < length <= _LONGEST_NAME, "a name")
        text = self._take(length)
        self.expect(text.isascii(), "a name")
        return text.decode("ascii")

    def tensor(self) -> Array:
        """A version, four sizes, that many float32: flat, none of them infinite or no number."""
        self.expect(self.integer() == 2, "a tensor")
        size = math.prod(self._sizes())
        self.expect(size <= _LARGEST_TENSOR, "a tensor of a likely size")
        values = np.frombuffer(self._take(4 * size), dtype="<f4").astype(np.float32)
        self.expect(bool(np.isfinite(values).all()), "finite weights")
        return values

    def shape(self) -> tuple[int, ...]:
        """A tensor's four sizes without its values."""
        self.expect(self.integer() == 1, "a shape")
        return self._sizes()

    def skip_versions(self, largest: int) -> None:
        """Pass over integers up to `largest`."""
        while True:
            start = self._at
            if self.integer() > largest:
                self._at = start
                return

    def _sizes(self) -> tuple[int, ...]:
        sizes = tuple(self.integer() for _ in range(4))
        self.expect(min(sizes) >= 0, "sizes")
        return sizes

    def _take(self, length: int) -> bytes:
        taken = self._data[self._at : self._at + length]
        if len(taken) < length:
            raise Unexpected(f"the file ends at byte {len(self._data):,}, in the middle of a value")
        self._at += length
        return taken
