"""`facestream export-faces`: a folder for each cluster with the chips of its faces, to look at."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from psycopg import Connection

from catalogue import reader
from catalogue.reader import RankedFace
from cli.archive import open_catalogue
from cli.common import load_settings
from cli.options import Data
from cli.printing import print_line, stderr
from cli.progress import progress_bar
from errors import UserError
from models.images import RgbImage, UnreadableImage
from models.scan_image import scan_image
from models.stores.errors import StoreUnavailable, UnavailableImage
from models.stores.parameters import StoreParameters
from models.stores.stores import Fetch, Stores
from schemas.scans import Box

# Added around a box on each side, as a fraction of it: a detector boxes the face, people recognise a head.
_MARGIN = 0.3
_QUALITY = 92
_MARK = ".facestream-export"
_NOISE = "noise"
_OURS = re.compile(rf"{_NOISE}|\d+-\d+-.+")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME = 100


def export_faces(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Where to write. New, empty, or made by this command: it is written again."),
    ],
    data: Data = None,
) -> None:
    """Cut every clustered face from its scan, into a folder for each cluster, named rank-size-cluster."""
    _prepare(folder)
    settings = load_settings(data)
    stores = Stores(StoreParameters.of(settings.stores.model_dump(), settings.data))
    with open_catalogue(settings, "export-faces") as connection:
        written, missing = _export(connection, stores.fetch, folder)
    print_line(f"faces written to {folder}: {written:,}")
    if missing:
        raise UserError(f"faces that could not be cut, for the reasons above: {missing:,}")


def _prepare(folder: Path) -> None:
    """Create the folder, or delete the chips of an earlier export in it. Raises UserError if it holds anything else."""
    try:
        if folder.exists() and not (folder / _MARK).is_file() and any(folder.iterdir()):
            raise UserError(f"{folder} is not empty and was not made by this command: name another folder")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MARK).write_text("Made by `facestream export-faces`, which replaces the chips in here.\n")
        for subfolder in folder.iterdir():
            if subfolder.is_dir() and _OURS.fullmatch(subfolder.name):
                for chip in subfolder.glob("*.jpg"):
                    chip.unlink()
                # Other files stay, and the folder with them.
                if not any(subfolder.iterdir()):
                    subfolder.rmdir()
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from error


def _export(connection: Connection, fetch: Fetch, folder: Path) -> tuple[int, int]:
    """How many faces were written, and how many could not be."""
    counts = reader.counts(connection)
    digits = len(str(counts.clusters))
    written = missing = 0
    with progress_bar("faces") as progress:
        bar = progress.add_task("faces", total=counts.faces)
        for faces in reader.faces_of_scans(connection):
            try:
                picture = _picture(connection, fetch, faces[0].face.scan_id)
            except (UnavailableImage, StoreUnavailable, UnreadableImage) as error:
                _report(f"{faces[0].face.scan_id}: {error}")
                missing += len(faces)
            else:
                cut = _write_chips(picture, faces, folder, digits)
                written += cut
                missing += len(faces) - cut
            progress.advance(bar, len(faces))
        # Faces that are not clustered yet were counted, but are not exported.
        progress.update(bar, total=written + missing)
    return written, missing


def _picture(connection: Connection, fetch: Fetch, scan_id: str) -> RgbImage:
    scan = reader.scan(connection, scan_id)
    if scan is None:
        raise UnavailableImage("withdrawn in the meantime")
    return scan_image(scan.uri, scan.sha256, scan.page, fetch)


def _write_chips(picture: RgbImage, faces: Sequence[RankedFace], folder: Path, digits: int) -> int:
    written = 0
    for ranked in faces:
        chip = cut(picture, ranked.face.box)
        if not chip.size:
            _report(f"{ranked.face.scan_id}: the box of face {ranked.face.face_id} is outside of the scan")
            continue
        save(chip, folder / _folder_name(ranked, digits), ranked.face.face_id)
        written += 1
    return written


def cut(picture: RgbImage, box: Box) -> RgbImage:
    """The box with a margin, clipped to the picture: uint8, (height, width, 3); without pixels if it is outside."""
    height, width = picture.shape[:2]
    across, down = _MARGIN * (box.right - box.left), _MARGIN * (box.bottom - box.top)
    left, right = _within(box.left - across, box.right + across, width)
    top, bottom = _within(box.top - down, box.bottom + down, height)
    return picture[top:bottom, left:right]


def save(chip: RgbImage, folder: Path, face_id: str) -> None:
    """Write the chip of a face into this folder, which is made where it is missing. Raises UserError.

    Ids come from whoever writes to the topics: what names the file is of its safe characters alone.
    """
    try:
        folder.mkdir(exist_ok=True)
        Image.fromarray(chip).save(folder / f"{_file_name(face_id)}.jpg", quality=_QUALITY)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror or error}") from error


def _within(start: float, end: float, pixels: int) -> tuple[int, int]:
    return max(0, round(start * pixels)), max(0, min(pixels, round(end * pixels)))


def _folder_name(ranked: RankedFace, digits: int) -> str:
    if ranked.face.cluster_id is None:
        return _NOISE
    return f"{ranked.rank:0{digits}}-{ranked.size}-{_file_name(ranked.face.cluster_id)}"


def _file_name(identifier: str) -> str:
    """The id if it can name a file; else its safe characters and a digest that distinguishes it from others."""
    safe = _UNSAFE.sub("_", identifier)[:_LONGEST_NAME]
    return safe if safe == identifier else f"{safe}-{hashlib.sha256(identifier.encode()).hexdigest()[:12]}"


def _report(problem: str) -> None:
    stderr.print(problem, style="yellow", soft_wrap=True)
