"""The image formats that are read: the one table that messages, help texts and the choice of files derive from.

A file's format is decided by its first bytes, its name plays no part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class ImageFormat:
    """An image format.

    name: as people write it. media_types: the media type by file name extension (with the dot, in lower case), the
    most common first; used when the content cannot be read.
    """

    name: str
    media_types: Mapping[str, str]

    @property
    def media_type(self) -> str:
        """The most common media type."""
        return next(iter(self.media_types.values()))


JPEG = ImageFormat("JPEG", dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "image/jpeg"))
PNG = ImageFormat("PNG", {".png": "image/png"})
TIFF = ImageFormat("TIFF", dict.fromkeys((".tif", ".tiff", ".ptif", ".btf"), "image/tiff"))
# A bare codestream (.j2k) and the extended file format (.jpf, .jpx) have media types of their own.
JPEG_2000 = ImageFormat(
    "JPEG 2000",
    {
        ".jp2": "image/jp2",
        ".j2k": "image/j2c",
        ".j2c": "image/j2c",
        ".jpc": "image/j2c",
        ".jpf": "image/jpx",
        ".jpx": "image/jpx",
    },
)
WEBP = ImageFormat("WebP", {".webp": "image/webp"})
HEIC = ImageFormat("HEIC", {".heic": "image/heic", ".heif": "image/heif", ".hif": "image/heif"})
AVIF = ImageFormat("AVIF", {".avif": "image/avif"})
JPEG_XL = ImageFormat("JPEG XL", {".jxl": "image/jxl"})
GIF = ImageFormat("GIF", {".gif": "image/gif"})
BMP = ImageFormat("BMP", {".bmp": "image/bmp", ".dib": "image/bmp"})
PDF = ImageFormat("PDF", {".pdf": "application/pdf"})
CAMERA_RAW = ImageFormat(
    "camera raw",
    {
        ".dng": "image/x-adobe-dng",
        ".nef": "image/x-nikon-nef",
        ".nrw": "image/x-nikon-nrw",
        ".cr2": "image/x-canon-cr2",
        ".cr3": "image/x-canon-cr3",
        ".crw": "image/x-canon-crw",
        ".arw": "image/x-sony-arw",
        ".sr2": "image/x-sony-sr2",
        ".srf": "image/x-sony-srf",
        ".orf": "image/x-olympus-orf",
        ".rw2": "image/x-panasonic-rw2",
        ".raf": "image/x-fuji-raf",
        ".pef": "image/x-pentax-pef",
        ".srw": "image/x-samsung-srw",
        ".3fr": "image/x-hasselblad-3fr",
        ".iiq": "image/x-phaseone-iiq",
        ".mrw": "image/x-minolta-mrw",
        ".x3f": "image/x-sigma-x3f",
    },
)

FORMATS = (JPEG, PNG, TIFF, JPEG_2000, WEBP, HEIC, AVIF, JPEG_XL, GIF, BMP, PDF, CAMERA_RAW)

FORMAT_NAMES = ", ".join(image_format.name for image_format in FORMATS)
"""All formats, for messages and help texts."""

MEDIA_TYPES = {suffix: media_type for known in FORMATS for suffix, media_type in known.media_types.items()}
"""Media type by file name extension (with the dot, in lower case), of all formats."""

PAGED_MEDIA_TYPES = frozenset((TIFF.media_type, PDF.media_type))
"""The media types of files that may have several pages."""

_SIGNATURES = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
    (b"II+\x00", TIFF),
    (b"MM\x00+", TIFF),
    (b"\x00\x00\x00\x0cjP  ", JPEG_2000),
    (b"\xff\x4f\xff\x51", JPEG_2000),
    (b"\x00\x00\x00\x0cJXL ", JPEG_XL),
    (b"\xff\x0a", JPEG_XL),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    # The raw files of Olympus, Panasonic, Fujifilm, Minolta, Sigma and Canon that look like no TIFF.
    (b"IIRO", CAMERA_RAW),
    (b"IIRS", CAMERA_RAW),
    (b"MMOR", CAMERA_RAW),
    (b"IIU\x00", CAMERA_RAW),
    (b"FUJIFILMCCD-RAW", CAMERA_RAW),
    (b"\x00MRM", CAMERA_RAW),
    (b"FOVb", CAMERA_RAW),
    (b"II\x1a\x00\x00\x00HEAPCCDR", CAMERA_RAW),
)
# The sizes of the headers that a BMP's file header may be followed by.
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2"}
_AVIF_BRANDS = {b"avif", b"avis"}


def format_of(data: bytes) -> ImageFormat | None:
    """The format of a file by its first bytes; None for another one. TIFFs may be camera raws (models.camera_raw)."""
    for signature, known in _SIGNATURES:
        if data.startswith(signature):
            return known
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    if data[4:8] == b"ftyp":
        return _by_brands(data)
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return BMP
    # Bytes before a PDF's header are allowed up to the first 1024 (ISO 32000-1, annex H).
    return PDF if b"%PDF-" in data[:1024] else None


def _by_brands(data: bytes) -> ImageFormat | None:
    """By the brands of an ISO base media file (ISO/IEC 14496-12, section 4.3): the major one, then the others."""
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = [data[8:12], *(data[start : start + 4] for start in range(16, size, 4))]
    if brands[0] == b"crx ":
        return CAMERA_RAW
    if not _AVIF_BRANDS.isdisjoint(brands):
        return AVIF
    return HEIC if not _HEIC_BRANDS.isdisjoint(brands) else None
