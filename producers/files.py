"""From paths to scans: which files there are, what each is called, and the events that say so.

It owns the names: a scan's id, collection and uri. The feed never judges a picture: a broken file is published like
any other, and detect sends it to `dead-letters` with its reason.
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
from models.fetching import UnavailableImage, UnknownStore, fetch
from models.images import UnreadableImage, inspect
from producers.manifest import SUFFIXES as MANIFEST_SUFFIXES
from producers.manifest import Row, read_manifest
from schemas.scans import ScanPublished

MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".jp2": "image/jp2",
    ".j2k": "image/j2c",
    ".jpf": "image/jpx",
    ".jpx": "image/jpx",
    ".webp": "image/webp",
}
"""The files that are taken for scans, by extension in lower case, and their media type where the content tells none."""

UNREADABLE_SHA256 = "0" * 64
"""Stands for the digest of a file that could not be read when it was published. Detect reports it missing first."""

# The schema allows 1024; the rest is for "#page=N".
_MAX_SCAN_ID = 1000
_SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://")


@dataclass(frozen=True)
class Source:
    """A file to publish: one scan, or one for each page of a multi-page TIFF when no `page` is said.

    `media_type`, `sha256`, `page` and `metadata` are what a manifest says; None where it says nothing.
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
    """What was found in paths, in the order to publish it, and how many other files were passed over."""

    sources: tuple[Source, ...]
    skipped: int = 0


def list_sources(paths: Iterable[Path | str], collection: str | None = None) -> Listing:
    """What is to be published from folders (recursively, sorted), image files and manifests. Reads no image.

    Raises UserError when a path cannot be used, holds no image, or two files would be one scan.
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
    """The scans of one file, published now: several where it has several pages.

    A file that cannot be read is published all the same, with the sha256 that its manifest gives, or else
    UNREADABLE_SHA256. Raises UserError when the uri is of a kind that this installation cannot read.
    """
    media_type, sha256, pages = source.media_type, source.sha256, 1
    # A manifest that says all there is to say spares the feed from reading the file.
    if not (media_type and sha256 and (source.page or media_type != "image/tiff")):
        data = _read(source.uri)
        if data is not None:
            seen_type, pages = _look_into(data)
            media_type = media_type or seen_type
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
    """The images below a folder, sorted, hidden ones left out, and how many other files there are.

    Links are followed, each folder once. Raises UserError when a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        if isinstance(error, FileNotFoundError):
            return  # It was taken away while we looked.
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
    """Whether a path is taken for a scan: by its name, and as long as it is no pipe, socket or device."""
    return path.suffix.lower() in MEDIA_TYPES and (path.is_file() or not path.exists())


def source_in_folder(path: Path, folder: Path, collection: str | None = None) -> Source:
    """An image below a folder; both paths are absolute. Raises UserError when its name is too long for an id."""
    collection = collection or _name_of(folder)
    return _checked(Source(path.as_uri(), f"{collection}/{_readable(path.relative_to(folder))}", collection))


def absolute(path: Path | str) -> Path:
    """The path from the root without "." and "..", links left as they are: they are the names people know."""
    return Path(os.path.normpath(Path(path).absolute()))


def _list_path(given: str, collection: str | None) -> Listing:
    if _SCHEME.match(given):
        raise UserError(f"{given}: remote scans are given in a manifest, a CSV or JSON-lines file with a column uri")
    path = absolute(given)
    if path.is_dir():
        images, skipped = find_images(path)
        if not images:
            others = f" ({skipped} other files)" if skipped else ""
            raise UserError(f"{given}: no images in this folder{others}; taken are {', '.join(MEDIA_TYPES)}")
        return Listing(tuple(source_in_folder(image, path, collection) for image in images), skipped)
    if not path.exists():
        raise UserError(f"{given}: no such file or folder")
    if path.suffix.lower() in MANIFEST_SUFFIXES:
        return Listing(tuple(_manifest(path, collection)))
    if is_image(path):
        return Listing((source_in_folder(path, path.parent, collection),))
    raise UserError(
        f"{given}: neither an image ({', '.join(MEDIA_TYPES)}) nor a manifest ({', '.join(MANIFEST_SUFFIXES)})"
    )


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
    # Names from old file systems need not be UTF-8, but text in Kafka is: \xf5 stands for such a byte.
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _read(uri: str) -> bytes | None:
    """The bytes at a uri, None if they cannot be had: detect meets that again and says why."""
    try:
        return fetch(uri)
    except UnavailableImage:
        return None
    except UnknownStore as error:
        raise UserError(str(error)) from error


def _look_into(data: bytes) -> tuple[str | None, int]:
    try:
        info = inspect(data)
    except UnreadableImage:
        return None, 1
    return info.media_type, info.pages


def _type_by_name(uri: str) -> str:
    suffix = PurePosixPath(re.split("[?#]", uri)[0]).suffix.lower()
    return MEDIA_TYPES.get(suffix) or mimetypes.types_map.get(suffix) or "application/octet-stream"
