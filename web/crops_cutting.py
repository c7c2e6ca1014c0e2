"""Pictures for the pages, cut from a decoded scan. What runs in a worker process of `web.crops`."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Literal

import numpy as np
from PIL import Image

from models import worker_process
from models.pixels import RgbImage, UnreadableImage
from models.scaling import reduced_by
from models.scan_image import ChangedImage, scan_image
from models.stores.errors import StoreUnavailable, UnavailableImage
from models.stores.parameters import StoreParameters
from models.stores.stores import Stores
from models.turns import turned
from models.worker_process import Deadline
from schemas.scans import Box

# A store that does not deliver a scan, and takes so many seconds for it, is left alone for a while: at first for the
# shortest time, then for twice as long each time. Otherwise a page of its scans would keep all others waiting.
_SLOW_S = 2.0
_SHORTEST_S, _LONGEST_S = 20.0, 300.0

# How much around a face is shown on each side, as a share of its longer side.
_MARGIN = 0.4
_QUALITY = 85

Trouble = Literal["gone", "changed", "unreadable", "unreachable", "busy", "unknown"]
"""Why there is no picture.

gone: nothing is at the uri, or it must not be read. changed: another file is there than the one that was published, or
analysed. unreadable: it cannot be decoded. unreachable: the store does not deliver it now. busy: too many pictures are
being made. unknown: there is no such face, scan or size.
"""


@dataclass(frozen=True)
class Source:
    """A scan's file: what `models.scan_image` needs to read it."""

    uri: str
    sha256: str
    page: int | None


@dataclass(frozen=True)
class Cut:
    """A picture that is wanted: the whole scan, or the square around a face, at most `size` pixels wide and high."""

    size: int
    box: Box | None = None
    turn: int = 0
    negative: bool = False


@dataclass(frozen=True)
class _Away:
    """A store that is left alone until a time, and for how long that is."""

    until: float
    seconds: float
    reason: str


@dataclass(frozen=True)
class NoPicture:
    """Why there is no picture: the kind, and a sentence."""

    trouble: Trouble
    reason: str


_stores: Stores | None = None
_deadline: Deadline | None = None
_last: tuple[Source, RgbImage] | None = None
_away: dict[str, _Away] = {}


def start(stores: StoreParameters, decode_deadline_s: float) -> None:
    """Prepare this process: the initializer of each worker process."""
    global _stores, _deadline
    worker_process.begin()
    _end_first_without_memory()
    _stores = Stores(stores)
    _deadline = Deadline(decode_deadline_s)


def _end_first_without_memory() -> None:
    """Where memory runs out, Linux is to end this process and not the desk."""
    with suppress(OSError):  # another system, or a container that does not allow it
        Path("/proc/self/oom_score_adj").write_text("1000")


def cut(source: Source, wanted: Mapping[str, Cut]) -> Mapping[str, bytes] | NoPicture:
    """JPEG pictures of one scan by their names. The image stays in memory until `let_go`."""
    global _last
    try:
        if _last is None or _last[0] != source:
            let_go()
            _last = source, scan_image(source.uri, source.sha256, source.page, _fetch, _deadline)
        return _pictures(_last[1], wanted)
    except StoreUnavailable as error:
        return NoPicture("unreachable", str(error))
    except ChangedImage as error:
        return NoPicture("changed", str(error))
    except UnavailableImage as error:
        return NoPicture("gone", str(error))
    except UnreadableImage as error:
        return NoPicture("unreadable", str(error))
    except MemoryError:
        let_go()
        return NoPicture("unreadable", "there is too little memory for the image")


def _fetch(uri: str) -> bytes:
    """`Stores.fetch`, which leaves stores alone that are away."""
    assert _stores
    store = _stores.store_of(uri)
    away = _away.get(store)
    started = monotonic()
    if away and started < away.until:
        raise StoreUnavailable(store, away.reason, "store", tried=False)
    try:
        data = _stores.fetch(uri)
    except StoreUnavailable as error:
        if error.cause == "store" or monotonic() - started > _SLOW_S:
            seconds = min(_LONGEST_S, 2 * away.seconds) if away else _SHORTEST_S
            _away[store] = _Away(monotonic() + seconds, seconds, error.reason)
        raise
    except UnavailableImage:
        _away.pop(store, None)
        raise
    _away.pop(store, None)
    return data


def let_go() -> None:
    """Free the memory of the last image."""
    global _last
    _last = None


def _pictures(image: RgbImage, wanted: Mapping[str, Cut]) -> Mapping[str, bytes]:
    """The pictures. Of one part of the image the largest is made first, and the smaller ones from it."""
    fitted: dict[Cut, RgbImage] = {}
    pictures: dict[str, bytes] = {}
    for name, one in sorted(wanted.items(), key=lambda it: -it[1].size):
        part = replace(one, size=0)
        fitted[part] = _fitted(fitted[part] if part in fitted else _part(image, one), one.size)
        pictures[name] = _jpeg(fitted[part])
    return pictures


def _part(image: RgbImage, wanted: Cut) -> RgbImage:
    if wanted.box is None:
        return image
    return turned(face_section(image, wanted.box), wanted.turn // 90, negative=wanted.negative)


def _fitted(image: RgbImage, size: int) -> RgbImage:
    """The image, scaled down where its longer side has more than `size` pixels."""
    # By means of whole pixels first, which needs little memory, then the rest by the filter that looks best.
    factor = max(1, max(image.shape[:2]) // size)
    reduced = image if factor == 1 else reduced_by(image, factor, factor)
    height, width = reduced.shape[:2]
    scale = size / max(height, width)
    if scale >= 1.0:
        return reduced
    rest = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(reduced).resize(rest, Image.Resampling.LANCZOS))


def _jpeg(image: RgbImage) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def face_section(image: RgbImage, box: Box) -> RgbImage:
    """The square around a face; where it would reach beyond the image it is moved, or is as large as there is image."""
    height, width = image.shape[:2]
    side = face_side(box, width, height)
    top, bottom = _span((box.top + box.bottom) / 2 * height, side, height)
    left, right = _span((box.left + box.right) / 2 * width, side, width)
    return image[top:bottom, left:right]


def face_side(box: Box, width: int, height: int) -> int:
    """The side of the square around a face, in pixels of a scan of this size."""
    longer = max((box.right - box.left) * width, (box.bottom - box.top) * height)
    return max(1, round(longer * (1 + 2 * _MARGIN)))


def _span(middle: float, side: int, length: int) -> tuple[int, int]:
    side = min(side, length)
    start = min(max(0, round(middle - side / 2)), length - side)
    return start, start + side
