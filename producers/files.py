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

from pydantic import ValidationError

from errors import UserError
from models.contents import inspect
from models.formats import MEDIA_TYPES, PAGED_MEDIA_TYPES
from models.pixels import UnreadableImage
from models.stores.errors import UnavailableImage, UnknownStore
from models.stores.stores import Fetch
from producers.folders import Excluded, SkipKind, Skipped, Unreadable, counted_by_kind, find_images, is_image, printable
from producers.manifest import SUFFIXES as MANIFEST_SUFFIXES
from producers.manifest import Row, read_manifest
from schemas.base import MOST_ID_BYTES
from schemas.scans import ScanPublished
from schemas.uris import CUT, has_credentials, without_credentials

UNREADABLE_SHA256 = "0" * 64
"""The digest of a file that could not be read when it was published. `detect` reports the file missing instead."""

# The schema allows 1024; the rest is for "#page=N".
_MAX_SCAN_ID = 1000
_MAX_SCAN_ID_BYTES = MOST_ID_BYTES - 24
_SUFFIXES = ", ".join(MEDIA_TYPES)
# A chain of uris counts as one, so that a login in it is found: it is refused later.
_SCHEME = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*::)*[a-zA-Z][a-zA-Z0-9+.-]*://")


@dataclass(frozen=True)
class Source:
    """A file to publish: one scan, or one for each page of a file with several pages when `page` is None.

    `media_type`, `sha256`, `page` and `metadata` are the manifest's; None (or no metadata) where it has none. is_named:
    whether the manifest gives the scan's id. is_described: whether a manifest has its metadata, which may be none.
    """

    uri: str
    scan_id: str
    collection: str
    media_type: str | None = None
    page: int | None = None
    sha256: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    is_named: bool = False
    is_described: bool = False


@dataclass(frozen=True)
class Listing:
    """The files to publish, in order; what else is in the folders; and what in them cannot be read.

    roots: the folders and single files that were given; a manifest stands for its folder.
    """

    sources: tuple[Source, ...]
    others: tuple[Skipped, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    roots: tuple[Path, ...] = ()

    @property
    def skipped(self) -> int:
        """The number of files that are no images. Hidden and excluded ones are not counted here."""
        return sum(other.kind in (SkipKind.OTHER, SkipKind.SPECIAL) for other in self.others)


def list_sources(
    paths: Iterable[Path | str], collection: str | None = None, excluded: Excluded | None = None
) -> Listing:
    """The files to publish from folders (recursively, sorted), image files and manifests. Reads no image.

    A file without a collection of its own gets `collection`, or else its folder's name. What is `excluded` is skipped
    in folders; a folder or file that cannot be read is reported in the listing. Raises UserError when a path itself
    cannot be used or holds no image, and when two files would be one scan.
    """
    listings = [_list_path(str(path), collection, excluded) for path in paths]
    by_id: dict[str, Source] = {}
    for source in (source for listing in listings for source in listing.sources):
        other = by_id.setdefault(source.scan_id, source)
        if other != source:
            raise UserError(
                f"{other.uri} and {source.uri} would both be the scan {source.scan_id}: publish them one after the "
                "other, each with its own --collection, or give each a scan_id in a manifest"
            )
    return Listing(
        tuple(by_id.values()),
        tuple(dict.fromkeys(other for listing in listings for other in listing.others)),
        tuple(dict.fromkeys(problem for listing in listings for problem in listing.unreadable)),
        tuple(dict.fromkeys(root for listing in listings for root in listing.roots)),
    )


def scans_of(source: Source, now: Callable[[], datetime], fetch: Fetch) -> Iterator[ScanPublished]:
    """The scans of one file, published at the time `now()`: one for each page of a file with several pages.

    A file that cannot be read is published too, with the sha256 of its manifest, or else UNREADABLE_SHA256. Raises
    UserError when scans of the uri's scheme are not read here, and StoreUnavailable.
    """
    media_type, sha256, pages = source.media_type, source.sha256, 1
    # The file is not read when the manifest has everything already.
    if not (media_type and sha256 and (source.page or media_type not in PAGED_MEDIA_TYPES)):
        data = _read(source.uri, fetch)
        if data is not None:
            detected_type, pages = _inspect(data)
            media_type = media_type or detected_type
            sha256 = sha256 or hashlib.sha256(data).hexdigest()
    numbers = range(1, pages + 1) if pages > 1 and source.page is None else [source.page]
    for page in numbers:
        try:
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
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            field = str(problem["loc"][0]) if problem["loc"] else "scan"
            raise UserError(f"{without_credentials(source.uri)[:200]}: {field}: {problem['msg']}") from error


def source_in_folder(path: Path, folder: Path, collection: str | None = None) -> Source:
    """An image file below a folder; both paths are absolute. Raises UserError when its name is too long for an id."""
    collection = collection or _name_of(folder)
    return _checked(Source(path.as_uri(), f"{collection}/{_readable(path.relative_to(folder))}", collection))


def sources_in_folder(
    images: Iterable[Path], folder: Path, collection: str | None = None
) -> tuple[list[Source], list[Unreadable]]:
    """Image files below a folder, and those whose name is too long for an id, with the reason."""
    collection = collection or _name_of(folder)
    sources: list[Source] = []
    refused: list[Unreadable] = []
    for image in images:
        try:
            sources.append(source_in_folder(image, folder, collection))
        except UserError as error:
            refused.append(Unreadable(str(image), str(error).removeprefix(f"{image.as_uri()}: ")))
    return sources, refused


def absolute(path: Path | str) -> Path:
    """The path from the root without "." and "..". Links stay as they are, since people know files by those names."""
    return Path(os.path.normpath(Path(path).absolute()))


def _list_path(given: str, collection: str | None, excluded: Excluded | None) -> Listing:
    if _SCHEME.match(given):
        raise UserError(f"{given}: list remote scans in a manifest, a CSV or JSON-lines file with a column uri")
    path = absolute(given)
    try:
        path.stat()
    except FileNotFoundError as error:
        if not path.is_symlink():
            raise UserError(f"{printable(given)}: no such file or folder") from error
        raise UserError(f"{printable(given)}: a link to nothing") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{printable(given)}: cannot be read ({getattr(error, 'strerror', error)})") from error
    if path.is_dir():
        return _folder(given, path, collection, excluded)
    if path.suffix.lower() in MANIFEST_SUFFIXES:
        return Listing(tuple(_manifest(path, collection)), roots=(path.parent,))
    if is_image(path):
        return Listing((source_in_folder(path, path.parent, collection),), roots=(path,))
    raise UserError(
        f"{printable(given)}: neither an image ({_SUFFIXES}) nor a manifest ({', '.join(MANIFEST_SUFFIXES)})"
    )


def _folder(given: str, path: Path, collection: str | None, excluded: Excluded | None) -> Listing:
    found = find_images(path, excluded)
    if found.unreadable and found.unreadable[0].path == str(path):
        raise UserError(f"{printable(given)}: the folder cannot be read ({found.unreadable[0].reason})")
    sources, without_id = sources_in_folder(found.images, path, collection)
    unreadable = (*found.unreadable, *without_id)
    listing = Listing(tuple(sources), tuple(found.skipped), unreadable, roots=(path,))
    if not sources:
        counts = counted_by_kind(found.skipped)
        reasons = [f"{listing.skipped} other files"] if listing.skipped else []
        reasons += [f"{counts[SkipKind.EXCLUDED]} excluded"] if SkipKind.EXCLUDED in counts else []
        reasons += [f"{printable(folder.path)} cannot be read: {folder.reason}" for folder in unreadable[:1]]
        why = f" ({', '.join(reasons)})" if reasons else ""
        raise UserError(f"{printable(given)}: no images in this folder{why}; supported are {_SUFFIXES}")
    return listing


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
        _refuse_credentials(row.uri)
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
            is_named=row.scan_id is not None,
            is_described=True,
        )
    )


def _refuse_credentials(uri: str) -> None:
    if without_credentials(uri).endswith(f"://{CUT}"):
        raise UserError(f"{without_credentials(uri)}: not a valid uri, or one that cannot be shown without a login")
    if has_credentials(uri):
        raise UserError(
            f"{without_credentials(uri)}: the uri has a login, or a signature, which everybody would see who reads the "
            "topic: write it without. A file with logins is named by FACESTREAM_STORES__NETRC, and an object in S3 is "
            "written s3://bucket/key"
        )


def _checked(source: Source) -> Source:
    if len(source.scan_id) > _MAX_SCAN_ID:
        raise UserError(
            f"{source.uri}: its scan id would have {len(source.scan_id)} characters, {_MAX_SCAN_ID} are allowed; "
            "give it a scan_id in a manifest"
        )
    length = len(source.scan_id.encode(errors="replace"))
    if length > _MAX_SCAN_ID_BYTES:
        raise UserError(
            f"{source.uri}: its scan id would have {length} bytes in UTF-8, {_MAX_SCAN_ID_BYTES} are allowed; "
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


def _read(uri: str, fetch: Fetch) -> bytes | None:
    """The bytes at a uri, None if it cannot be read; `detect` tries again, and reports the reason."""
    try:
        return fetch(uri)
    except UnknownStore as error:
        raise UserError(str(error)) from error
    except UnavailableImage:
        return None


def _inspect(data: bytes) -> tuple[str | None, int]:
    try:
        info = inspect(data)
    except UnreadableImage:
        return None, 1
    return info.media_type, info.pages


def _type_by_name(uri: str) -> str:
    suffix = PurePosixPath(re.split("[?#]", uri)[0]).suffix.lower()
    return MEDIA_TYPES.get(suffix) or mimetypes.types_map.get(suffix) or "application/octet-stream"
