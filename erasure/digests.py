"""Keyed digests by which an erased face is recognised, without a record of who, what or where it was.

A digest is a keyed BLAKE2b (RFC 7693, section 2.9) of 128 bits. Whoever has no key learns nothing from it. Whoever has
the key and a scan can see whether a face was erased there: that is what detect does.

A face that is found again is not found in quite the same place. So not the box is kept, but the cell of a grid that its
middle is in, for its size; and what is found is compared with the cells around its own.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from itertools import product
from math import floor, log2

from schemas.scans import Box

KEY_BYTES = 32
_DIGEST_BYTES = 16
# A side is rounded down to a power of the square root of 2; the cells for that size are a sixth of it wide. So a box is
# recognised that is up to a third of its side away and up to 1.4 times as large, and none that is two thirds away: with
# a box less alike, the intersection over union is below 0.5, where models.face_ids would not take it for the same face.
_STEPS = 2
_CELLS = 6
_AROUND = range(-3, 4)


def new_key() -> bytes:
    """A key."""
    return secrets.token_bytes(KEY_BYTES)


class Digests:
    """Makes digests with one key."""

    def __init__(self, key: bytes) -> None:
        """Raises ValueError for a key of another length."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key of erasures has {len(key)} bytes, not {KEY_BYTES}")
        self._key = key

    @property
    def key_id(self) -> str:
        """What the key is recognised by."""
        return self._digest("key")

    def scan(self, scan_id: str) -> str:
        """The digest of a scan, by its id."""
        return self._digest("scan", scan_id)

    def picture(self, sha256: str, page: int | None) -> str:
        """The digest of a picture, by the checksum of its file and its page: copies under other ids have the same."""
        return self._digest("picture", sha256, str(page or ""))

    def face(self, face_id: str) -> str:
        """The digest of a face's id."""
        return self._digest("face", face_id)

    def decision(self, decision_id: str) -> str:
        """The digest of a decision's id."""
        return self._digest("decision", decision_id)

    def place(self, scan: str, box: Box) -> str:
        """The digest of the place of a box on a scan or picture, of which `scan` is the digest."""
        return self._place(scan, *_cell(*_axis(box.left, box.right), *_axis(box.top, box.bottom)))

    def places_around(self, scan: str, box: Box) -> Iterator[str]:
        """The digests of all places at which a box may have been that is now this one."""
        (x, width), (y, height) = _axis(box.left, box.right), _axis(box.top, box.bottom)
        steps = (-1, 0, 1)
        for wider, higher in product(steps, steps):
            columns, rows = _level(width) + wider, _level(height) + higher
            column, row = _index(x, columns), _index(y, rows)
            for right, down in product(_AROUND, _AROUND):
                yield self._place(scan, columns, rows, column + right, row + down)

    def _place(self, scan: str, *numbers: int) -> str:
        return self._digest("place", scan, *map(str, numbers))

    def _digest(self, *texts: str) -> str:
        content = b"".join(len(part).to_bytes(4, "big") + part for part in (text.encode() for text in texts))
        return hashlib.blake2b(content, key=self._key, digest_size=_DIGEST_BYTES).hexdigest()


def _axis(start: float, end: float) -> tuple[float, float]:
    return (start + end) / 2, max(end - start, 1e-6)


def _level(side: float) -> int:
    return floor(log2(side) * _STEPS)


def _index(middle: float, level: int) -> int:
    return floor(middle / (2 ** (level / _STEPS) / _CELLS))


def _cell(x: float, width: float, y: float, height: float) -> tuple[int, int, int, int]:
    columns, rows = _level(width), _level(height)
    return columns, rows, _index(x, columns), _index(y, rows)
