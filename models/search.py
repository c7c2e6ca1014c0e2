"""Where the faces of scans are: upright, in the other turns, on negatives, and small ones on large scans.

Upright faces are exactly those of the detector at `max_size` and `upsample`. What the settings add is looked for on top
of these, and never moves or removes one, except where a face is clearly turned: the detector finds a face that lies on
its side as well, but its landmarks are wrong then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.pixels import RgbImage
from models.protocols import Detection, Detector
from models.scaling import scaled, scaled_down, scaled_up
from models.turns import on_scan, turned
from schemas.faces import Provenance

# The detector's window, in pixels: the smallest face that it finds without doubling.
_WINDOW = 80
# A face that is looked at again: its size in pixels, and what is around it, as a share of its size on each side.
_FACE_SIZE, _SURROUNDINGS = 100, 0.8
# Upright faces found with this score or more are turned only if they are found upside down too (measured).
_CLEAR_SCORE = 0.8
# How much more a turn must have for it than upright has, and the score that a face found turned needs.
_TURN_MARGIN, _TURNED_SCORE = 0.4, 0.5
# Detections that overlap by this intersection over union are of one face.
_SAME_FACE = 0.3
# The side of a tile before it is doubled, and how much larger than the wanted face the scale lets it be.
_TILE, _SLACK = 1000, 1.1
_MOST_DOUBLINGS = 3


@dataclass(frozen=True)
class FoundFace:
    """A face in pixels of the scan, the quarters that the scan is turned clockwise for it, and whether inverted."""

    detection: Detection
    turn: int = 0
    negative: bool = False


def find_faces(detector: Detector, images: Sequence[RgbImage], settings: Provenance) -> list[list[FoundFace]]:
    """The faces of each image. The detector sees all images upright in one call, as its batch."""
    searched = [scaled_down(image, settings.max_size) for image in images]
    detected = detector.detect(searched, settings.upsample)
    return [
        _faces(_Scan(detector, settings, image, small), upright)
        for image, small, upright in zip(images, searched, detected, strict=True)
    ]


@dataclass(frozen=True)
class _Scan:
    """A scan, its smaller version, and what they are searched with."""

    detector: Detector
    settings: Provenance
    image: RgbImage
    small: RgbImage
    negative: bool = False

    def look(self, turn: int) -> list[Detection]:
        """The faces of the whole scan in one turn, in pixels of the scan."""
        height, width = self.small.shape[:2]
        shown = turned(self.small, turn, negative=self.negative)
        (faces,) = self.detector.detect([shown], self.settings.upsample)
        return [scaled_up(on_scan(face, turn, width, height), self.small, self.image) for face in faces]

    def look_at(self, face: Detection, turn: int) -> Detection | None:
        """The face found again in one turn on a section around it, in pixels of the scan; None where it is not."""
        height, width = self.image.shape[:2]
        size = max(1, face.right - face.left, face.bottom - face.top)
        around = int(_SURROUNDINGS * size)
        left, top = max(0, face.left - around), max(0, face.top - around)
        section = self.image[top : min(height, face.bottom + around), left : min(width, face.right + around)]
        if min(section.shape[:2]) < 2:
            return None
        small = scaled(np.ascontiguousarray(section), min(1.0, _FACE_SIZE / size))
        (found,) = self.detector.detect([turned(small, turn, negative=self.negative)], 0 if size >= _FACE_SIZE else 1)
        for other in found:
            shown = scaled_up(on_scan(other, turn, small.shape[1], small.shape[0]), small, section)
            moved = shown.moved(left, top)
            if overlap(moved, face) >= _SAME_FACE:
                return moved
        return None


def _faces(scan: _Scan, detected: Sequence[Detection]) -> list[FoundFace]:
    upright = [scaled_up(face, scan.small, scan.image) for face in detected]
    upright += _small_faces(scan, upright)
    faces = _in_their_turns(scan, upright)
    if not faces and scan.settings.negatives:
        inverted = replace(scan, negative=True)
        faces = _in_their_turns(inverted, inverted.look(0))
    return faces


def _in_their_turns(scan: _Scan, upright: Sequence[Detection]) -> list[FoundFace]:
    """The faces found upright, each in its own turn, and those that are found in another turn alone."""
    turns = scan.settings.turns
    found = [FoundFace(face, 0, scan.negative) for face in upright]
    if turns == "never":
        return found
    faces = [_in_its_turn(scan, face) for face in found]
    if turns == "always" or not upright:
        others = [FoundFace(face, turn, scan.negative) for turn in (1, 2, 3) for face in scan.look(turn)]
        for other in sorted(others, key=lambda face: -face.detection.score):
            known = any(overlap(other.detection, face.detection) >= _SAME_FACE for face in faces)
            if not known and (right := _turned_alone(scan, other)) is not None:
                faces.append(right)
    return faces


def _in_its_turn(scan: _Scan, face: FoundFace) -> FoundFace:
    """A face found upright, in the turn in which it is.

    A face is found when it lies on its side too, at times with a better score; but hardly when it is upside down. So
    what counts for a turn is its score less that of the opposite turn.
    """
    upside_down = scan.look_at(face.detection, 2)
    if upside_down is None and face.detection.score >= _CLEAR_SCORE:
        return face
    seen = {0: face.detection, 1: scan.look_at(face.detection, 1), 2: upside_down, 3: scan.look_at(face.detection, 3)}
    best = _best_turn(seen)
    turned_face = seen[best]
    clearly = _evidence(seen, best) >= _evidence(seen, 0) + _TURN_MARGIN
    if best == 0 or turned_face is None or turned_face.score < _TURNED_SCORE or not clearly:
        return face
    return replace(face, detection=turned_face, turn=best)


def _turned_alone(scan: _Scan, face: FoundFace) -> FoundFace | None:
    """A face found in another turn only, in the turn that has most for it; None where that is upright or unclear."""
    seen = {turn: scan.look_at(face.detection, turn) for turn in range(4)}
    seen[face.turn] = face.detection
    best = _best_turn(seen)
    turned_face = seen[best]
    if best == 0 or turned_face is None or turned_face.score < _TURNED_SCORE:
        return None
    return replace(face, detection=turned_face, turn=best)


def _best_turn(seen: dict[int, Detection | None]) -> int:
    return max(range(4), key=lambda turn: (_evidence(seen, turn), -turn))


def _evidence(seen: dict[int, Detection | None], turn: int) -> float:
    this, opposite = seen[turn], seen[(turn + 2) % 4]
    return (this.score if this else 0.0) - (opposite.score if opposite else 0.0)


def _small_faces(scan: _Scan, known: Sequence[Detection]) -> list[Detection]:
    """Faces of `min_face_px` and more that are too small for the search at `max_size`; in tiles, to bound memory."""
    wanted = scan.settings.min_face_px
    shrunk = scan.small.shape[1] / scan.image.shape[1]
    smallest = _WINDOW / 2**scan.settings.upsample / shrunk
    if wanted == 0 or wanted * _SLACK >= smallest:
        return []
    magnified = min(_SLACK * _WINDOW / wanted, float(2**_MOST_DOUBLINGS))
    doublings = max(0, math.ceil(math.log2(magnified)))
    scale = magnified / 2**doublings
    # Larger faces are known already. Each of the smaller ones is whole on one tile at least.
    largest = 1.5 * smallest
    found: list[Detection] = []
    for left, top, tile in _tiles(scan.image, int(_TILE / scale), int(largest)):
        small = scaled(np.ascontiguousarray(tile), scale)
        (faces,) = scan.detector.detect([small], doublings)
        for face in (scaled_up(face, small, tile) for face in faces):
            if max(face.right - face.left, face.bottom - face.top) <= largest:
                found.append(face.moved(left, top))
    kept: list[Detection] = []
    for face in sorted(found, key=lambda face: (-face.score, face.left, face.top)):
        if all(overlap(face, other) < _SAME_FACE for other in (*known, *kept)):
            kept.append(face)
    return kept


def _tiles(image: RgbImage, side: int, shared: int) -> Iterator[tuple[int, int, RgbImage]]:
    """Tiles of the image that overlap by `shared` pixels: left, top, and the pixels."""
    height, width = image.shape[:2]
    side = max(side, 2 * shared)
    for top in _starts(height, side, shared):
        for left in _starts(width, side, shared):
            yield left, top, image[top : top + side, left : left + side]


def _starts(length: int, side: int, shared: int) -> list[int]:
    """Where tiles begin, the last one at the end of the image."""
    if length <= side:
        return [0]
    count = math.ceil((length - shared) / (side - shared))
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def overlap(one: Detection, other: Detection) -> float:
    """Intersection over union, 0 to 1."""
    width = min(one.right, other.right) - max(one.left, other.left) + 1
    height = min(one.bottom, other.bottom) - max(one.top, other.top) + 1
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(face.right - face.left + 1) * (face.bottom - face.top + 1) for face in (one, other)]
    return width * height / (sum(areas) - width * height)
