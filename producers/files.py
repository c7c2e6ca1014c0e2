"""From paths to scans: the files in folders and manifests, and the event that publishes each.

It decides on a scan's id, collection and uri. It does not judge images: a broken file is published like any other, and
`detect` sends it to `dead-letters` with the reason.
"""

from __future__ import annotations

import hashlib
import mimetypes
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath

from errors import UserError
from models.contents import inspect
from models.fetching import UnavailableImage, UnknownStore, fetch
from models.formats import MEDIA_TYPES, PAGED_MEDIA_TYPES
from models.pixels import UnreadableImage
from producers.manifest import SUFFIXES as MANIFEST_SUFFIXES
from producers.manifest import Row, read_manifest
from schemas.scans import ScanPublished

UNREADABLE_SHA256 = "0" * 64
"""The digest of a file that could not be read when it was published. `detect` reports the file missing instead."""

# The schema allows 1024; the rest is for "#page=N".
_MAX_SCAN_ID = 1000
_SUFFIXES = ", ".join(MEDIA_TYPES)
_SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://")


@dataclass(frozen=True)
class Source:
    """A file to publish: one scan, or one for each page of a file with several pages when `page` is None.

    `media_type`, `sha256`, `page` and `metadata` are the manifest's; None (or no metadata) where it has none.
    """

    uri: str
    scan_id: str
    collection: str
    media_type: str | None = None
    page: int | None = None
    sha256: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """The files to publish, in order, and the number of other files, which are skipped."""

    sources: tuple[Source, ...]
    skipped: int = 0


def list_sources(paths: Iterable[Path | str], collection: str | None = None) -> Listing:
    """The files to publish from folders (recursively, sorted), image files and manifests. Reads no image.

    A file without a collection of its own gets `collection`, or else its folder's name. Raises UserError when a path
    cannot be used or holds no image, and when two files would be one scan.
    """
    listings = [_list_path(str(path), collection) for path in paths]
    by_id: dict[str, Source] = {}
    for source in (source for listing in listings for source in listing.sources):
        other = by_id.setdefault(source.scan_id, source)
        if other != source:
            raise UserError(
                f"{other.uri} and {source.uri} would both be the scan {source.scan_id}: publish them one after the "
                "other, each with its own --collection, or give each a scan_id in a manifest"
            )
    return Listing(tuple(by_id.values()), sum(listing.skipped for listing in listings))


def scans_of(source: Source, now: Callable[[], datetime]) -> Iterator[ScanPublished]:
    """The scans of one file, published at the time `now()`: one for each page of a file with several pages.

    A file that cannot be read is published too, with the sha256 of its manifest, or else UNREADABLE_SHA256. Raises
    UserError when this installation has no driver for the uri.
    """
    media_type, sha256, pages = source.media_type, source.sha256, 1
    # The file is not read when the manifest has everything already.
    if not (media_type and sha256 and (source.page or media_type not in PAGED_MEDIA_TYPES)):
        data = _read(source.uri)
        if data is not None:
            detected_type, pages = _inspect(data)
            media_type = media_type or detected_type
            sha256 = sha256 or hashlib.sha256(data).hexdigest()
    numbers = range(1, pages + 1) if pages > 1 and source.page is None else [source.page]
    for page in numbers:
        yield ScanPublished(
            scan_id=source.scan_id if page == source.page else f"{source.scan_id}#page={page}",
            uri=source.uri,
            sha256=sha256 or UNREADABLE_SHA256,
            media_type=media_type or _type_by_name(source.uri),
            collection=source.collection,
            published_at=now(),
            page=page,
            metadata=dict(source.metadata),
        )


def find_images(folder: Path) -> tuple[list[Path], int]:
    """The images below a folder, sorted, without hidden files, and the number of other files.

    Links are followed, each folder is read once. Raises UserError when a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        if isinstance(error, FileNotFoundError):
            return  # It was deleted while we read the folder above.
        raise UserError(f"{error.filename}: the folder cannot be read ({error.strerror})") from error

    images: list[Path] = []
    skipped = 0
    visited = {folder.resolve()}
    for parent, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        for name in list(folders):
            real = Path(parent, name).resolve()
            if name.startswith(".") or real in visited:
                folders.remove(name)
            visited.add(real)
        for path in (Path(parent, name) for name in files if not name.startswith(".")):
            if is_image(path):
                images.append(path)
            else:
                skipped += 1
    return sorted(images), skipped


def is_image(path: Path) -> bool:
    """Whether a path is published as a scan: it has the extension of an image, and is no pipe, socket or device."""
    return path.suffix.lower() in MEDIA_TYPES and (path.is_file() or not path.exists())


def source_in_folder(path: Path, folder: Path, collection: str | None = None) -> Source:
    """An image file below a folder; both paths are absolute. Raises UserError when its name is too long for an id."""
    collection = collection or _name_of(folder)
    return _checked(Source(path.as_uri(), f"{collection}/{_readable(path.relative_to(folder))}", collection))


def absolute(path: Path | str) -> Path:
    """The path from the root without "." and "..". Links stay as they are, since people know files by those names."""
    return Path(os.path.normpath(Path(path).absolute()))


def _list_path(given: str, collection: str | None) -> Listing:
    if _SCHEME.match(given):
        raise UserError(f"{given}: list remote scans in a manifest, a CSV or JSON-lines file with a column uri")
    path = absolute(given)
    if path.is_dir():
        images, skipped = find_images(path)
        if not images:
            others = f" ({skipped} other files)" if skipped else ""
            raise UserError(f"{given}: no images in this folder{others}; supported are {_SUFFIXES}")
        return Listing(tuple(source_in_folder(image, path, collection) for image in images), skipped)
    if not path.exists():
        raise UserError(f"{given}: no such file or folder")
    if path.suffix.lower() in MANIFEST_SUFFIXES:
        return Listing(tuple(_manifest(path, collection)))
    if is_image(path):
        return Listing((source_in_folder(path, path.parent, collection),))
    raise UserError(f"{given}: neither an image ({_SUFFIXES}) nor a manifest ({', '.join(MANIFEST_SUFFIXES)})")


def _manifest(path: Path, collection: str | None) -> Iterator[Source]:
    lines: dict[str, int] = {}
    for line, row in read_manifest(path):
        try:
            source = _source_of_row(row, path.parent, collection)
        except UserError as error:
            raise UserError(f"{path}, line {line}: {error}") from error
        if source.scan_id in lines:
            raise UserError(f"{path}, line {line}: the scan {source.scan_id} is in line {lines[source.scan_id]} too")
        lines[source.scan_id] = line
        yield source
    if not lines:
        raise UserError(f"{path}: no rows in this manifest")


def _source_of_row(row: Row, folder: Path, collection: str | None) -> Source:
    collection = row.collection or collection or _name_of(folder)
    if _SCHEME.match(row.uri):
        uri, name = row.uri, _SCHEME.sub("", row.uri).lstrip("/")
    else:
        path = absolute(folder / row.uri)
        uri, name = path.as_uri(), _readable(path.relative_to(folder if path.is_relative_to(folder) else path.anchor))
    page = f"#page={row.page}" if row.page else ""
    return _checked(
        Source(
            uri=uri,
            scan_id=row.scan_id or f"{collection}/{name}{page}",
            collection=collection,
            media_type=row.media_type,
            page=row.page,
            sha256=row.sha256,
            metadata=row.metadata,
        )
    )


def _checked(source: Source) -> Source:
    if len(source.scan_id) > _MAX_SCAN_ID:
        raise UserError(
            f"{source.uri}: its scan id would have {len(source.scan_id)} characters, {_MAX_SCAN_ID} are allowed; "
            "give it a scan_id in a manifest"
        )
    return source


def _name_of(folder: Path) -> str:
    if not folder.name:
        raise UserError(f"{folder}: this folder has no name to call the collection after; give --collection")
    return _readable(PurePosixPath(folder.name))


def _readable(path: PurePosixPath | Path) -> str:
    # Names from old file systems may not be UTF-8, but text in Kafka is: a byte of such a name becomes \xf5.
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _read(uri: str) -> bytes | None:
    """The bytes at a uri, None if it cannot be read; `detect` tries again, and reports the reason."""
    try:
        return fetch(uri)
    except UnavailableImage:
        return None
    except UnknownStore as error:
        raise UserError(str(error)) from error


def _inspect(data: bytes) -> tuple[str | None, int]:
    try:
        info = inspect(data)
    except UnreadableImage:
        return None, 1
    return info.media_type, info.pages


def _type_by_name(uri: str) -> str:
    suffix = PurePosixPath(re.split("[?#]", uri)[0]).suffix.lower()
    return MEDIA_TYPES.get(suffix) or mimetypes.types_map.get(suffix) or "application/octet-stream"
