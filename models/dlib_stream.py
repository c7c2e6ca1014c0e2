"""dlib's serialisation, value by value: integers, floats, names, tensors.

The encoding is that of dlib/serialize.h (numbers, strings) and dlib/dnn/tensor.h (tensors, shapes).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

# Limits that no file of dlib comes near. A damaged length fails here instead of asking for gigabytes.
_MAX_NAME_LENGTH = 64
_MAX_TENSOR_SIZE = 2**28
# Exponents that stand for values that are not finite (serialize.h, float_details).
_NOT_FINITE = {32000: math.inf, 32001: -math.inf, 32002: math.nan}


class Unexpected(Exception):
    """The bytes are not the value that was expected. The text names the value and the position."""


class DlibStream:
    """Reads values one after another. Every method raises Unexpected when the bytes are something else."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def at_end(self) -> bool:
        """Whether all bytes are read."""
        return self._position == len(self._data)

    def expect(self, condition: bool, what: str) -> None:
        """Raise Unexpected, with what was expected, unless the condition is true."""
        if not condition:
            raise Unexpected(f"expected {what} before byte {self._position:,} of {len(self._data):,}")

    def integer(self) -> int:
        """An integer of any type: a head byte, then the magnitude, least significant byte first.

        The head is S000LLLL in bits: S is the sign, LLLL the number of bytes that follow. So 80 is 01 50 and -256 is
        82 00 01.
        """
        head = self._take(1)[0]
        length = head & 0x0F
        self.expect(head & 0x70 == 0 and length <= 8, "an integer")
        magnitude = int.from_bytes(self._take(length), "little")
        return -magnitude if head & 0x80 else magnitude

    def boolean(self) -> bool:
        """A boolean: the character 0 or 1."""
        byte = self._take(1)
        self.expect(byte in (b"0", b"1"), "a boolean")
        return byte == b"1"

    def real(self) -> float:
        """A float or double outside a tensor: two integers m and e, for m * 2**e. So 1.5 is 3 and -1."""
        mantissa, exponent = self.integer(), self.integer()
        if exponent in _NOT_FINITE:
            return _NOT_FINITE[exponent]
        # A double's exponent is at least -1074, in 53 bits of mantissa; more is no double, and ldexp would overflow.
        self.expect(abs(exponent) < 1100, "a float")
        return math.ldexp(mantissa, exponent)

    def name(self) -> str:
        """A string: its length as an integer, and that many characters."""
        length = self.integer()
        self.expect(0 < length <= _MAX_NAME_LENGTH, "a name")
        text = self._take(length)
        self.expect(text.isascii(), "a name")
        return text.decode("ascii")

    def tensor(self) -> Array:
        """A tensor, flat: float32, shape (size,), all values finite.

        In the file: version 2, four sizes (samples, channels, rows, columns), and the values as raw little-endian
        float32, the last axis varying fastest. The sizes are redundant, since each layer has its own.
        """
        self.expect(self.integer() == 2, "a tensor")
        size = math.prod(self._sizes())
        self.expect(size <= _MAX_TENSOR_SIZE, "a tensor of a likely size")
        values = np.frombuffer(self._take(4 * size), dtype="<f4").astype(np.float32)
        self.expect(bool(np.isfinite(values).all()), "finite weights")
        return values

    def shape(self) -> tuple[int, ...]:
        """An alias tensor, which is a shape without values: version 1, then four sizes."""
        self.expect(self.integer() == 1, "a shape")
        return self._sizes()

    def skip_versions(self, largest: int) -> None:
        """Skip integers up to `largest`; the next one stays unread."""
        while True:
            start = self._position
            if self.integer() > largest:
                self._position = start
                return

    def _sizes(self) -> tuple[int, ...]:
        sizes = tuple(self.integer() for _ in range(4))
        self.expect(min(sizes) >= 0, "sizes")
        return sizes

    def _take(self, length: int) -> bytes:
        taken = self._data[self._position : self._position + length]
        if len(taken) < length:
            raise Unexpected(f"the file ends at byte {len(self._data):,}, in the middle of a value")
        self._position += length
        return taken
