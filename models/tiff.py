"""The pixels of a page of a TIFF, by the library that reads its kind right (docs/images.md has the figures).

Pillow reads the plain kinds, as it always did here. Everything deeper, planar, signed, or of another colour space is
read by tifffile and imagecodecs as the samples that were stored, and becomes colours here. Kinds that only libtiff
knows (subsampled YCbCr, LogLuv, old JPEG, ThunderScan) come from its own conversion to RGB.
"""

from __future__ import annotations

import io
import logging
from typing import IO, Any, cast

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

from models import tiff_pages
from models.colour import rgb_of_lab
from models.depth import scale_of, to_eight_bits
from models.pixels import RgbImage, UnreadableImage, bands, check_size, oriented
from models.raster import Samples, opened, rgb_of_pillow, rgb_of_samples
from models.tiff_pages import Directory

# What these log of a damaged file is in the reason already.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_NONE, _JPEG, _OLD_JPEG, _THUNDERSCAN = 1, 7, 6, 32809
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _INKS, _YCBCR, _CIELAB, _ICCLAB = 0, 1, 2, 3, 5, 6, 8, 9
_LOG_L, _LOG_LUV = 32844, 32845
_ASSOCIATED_ALPHA, _UNASSOCIATED_ALPHA = 1, 2
_ICC_PROFILE = 34675
_PLAIN_COMPRESSIONS = {1, 2, 3, 4, 5, _JPEG, 8, 32773, 32946, 50000, 50001}
# Larger pages are read without Pillow, which needs 4 bytes a pixel of its own.
_LARGE = 50_000_000
# The bytes of strips that are read before they are decoded.
_READ_AT_ONCE = 2**24
_LIBTIFF_ONLY = {_OLD_JPEG, _THUNDERSCAN, 32908, 34676, 34677}


def decode_page(data: bytes, directory: Directory) -> RgbImage:
    """The image of one page, upright. Raises UnreadableImage, and whatever the libraries raise for damaged files."""
    if directory.broken:
        raise UnreadableImage(f"the image is damaged: {directory.broken}")
    _check_kind(directory)
    check_size(*directory.size)
    if _is_plain(directory):
        return _by_pillow_or_tifffile(data, directory)
    photometric, compression = _photometric(directory), directory.value(tiff_pages.COMPRESSION, _NONE)
    is_subsampled = photometric == _YCBCR and compression in _PLAIN_COMPRESSIONS - {_JPEG}
    if is_subsampled or compression in _LIBTIFF_ONLY or photometric in (_LOG_L, _LOG_LUV):
        return _by_libtiff(data, directory)
    return _by_tifffile(data, directory)


def _check_kind(directory: Directory) -> None:
    photometric, compression = _photometric(directory), directory.value(tiff_pages.COMPRESSION, _NONE)
    if compression not in tifffile.COMPRESSION._value2member_map_:
        raise UnreadableImage(f"a TIFF of a kind that is not read (compression {compression})")
    if photometric not in tifffile.PHOTOMETRIC._value2member_map_:
        raise UnreadableImage(f"a TIFF of a kind that is not read (colours {photometric})")
    if len(set(directory.tags.get(tiff_pages.SAMPLE_FORMAT, (1,)))) > 1:
        raise UnreadableImage("a TIFF of a kind that is not read (samples of different formats)")


def _photometric(directory: Directory) -> int:
    default = _RGB if directory.value(tiff_pages.SAMPLES, 1) >= 3 else _BLACK_IS_ZERO
    return directory.value(tiff_pages.PHOTOMETRIC, default)


def _is_plain(directory: Directory) -> bool:
    """Whether Pillow reads this kind right: 1 or 8 bits, pixel by pixel, in the usual colours and compressions."""
    photometric, compression = _photometric(directory), directory.value(tiff_pages.COMPRESSION, _NONE)
    by_pixel = directory.value(tiff_pages.PLANAR, 1) == 1 or directory.value(tiff_pages.SAMPLES, 1) == 1
    if photometric == _YCBCR and compression == _JPEG:
        return by_pixel
    return (
        by_pixel
        and set(directory.tags.get(tiff_pages.BITS, (1,))) in ({1}, {8})
        and set(directory.tags.get(tiff_pages.SAMPLE_FORMAT, (1,))) == {1}
        and directory.value(tiff_pages.FILL_ORDER, 1) == 1
        and tiff_pages.EXTRA_SAMPLES not in directory.tags
        and compression in _PLAIN_COMPRESSIONS
        # Pillow takes the colours of palettes for 16 bits, as they should be, and shows those of 8 bits as black.
        and photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _INKS)
    )


def _by_pillow_or_tifffile(data: bytes, directory: Directory) -> RgbImage:
    """The other library reads some files that are not quite as they should be, and that the first refuses."""
    width, height = directory.size
    first, second = (_by_tifffile, _by_pillow) if width * height > _LARGE else (_by_pillow, _by_tifffile)
    try:
        return first(data, directory)
    except Exception as error:  # noqa: BLE001 - it is raised below
        try:
            return second(data, directory)
        except Exception:  # noqa: BLE001 - the first one's reason is as good
            raise error from None


def _by_pillow(data: bytes, directory: Directory) -> RgbImage:
    with opened(_as_file(data, directory), ["TIFF"]) as image:
        return rgb_of_pillow(image)


def _by_libtiff(data: bytes, directory: Directory) -> RgbImage:
    """libtiff's conversion to 8-bit RGBA. It fills in what it cannot read, so all data is checked before."""
    page = _page(data, directory)
    _check_complete(page, len(data))
    if page.compression in (5, 8, 32773, 32946, 50000):
        for strip in _stored(page, data):
            tifffile.TIFF.DECOMPRESSORS[page.compression](strip)
    # libtiff opens the file by its header. A copy of the file is needed unless the page is the first one.
    header = tiff_pages.redirected_header(data, directory)
    pointed = data if data.startswith(header) else header + data[len(header) :]
    try:
        rgba = imagecodecs.tiff_decode(pointed, index=0, asrgb=True)
    except imagecodecs.TiffError as error:
        if "can not handle" in str(error):
            raise UnreadableImage(f"a TIFF of a kind that is not read ({_kind(page)})") from error
        raise
    orientation = directory.value(tiff_pages.ORIENTATION, 1)
    # libtiff mirrors the image by its orientation, but does not turn it: undone here, since both are done below.
    if orientation in (2, 3, 6, 7):
        rgba = rgba[:, ::-1]
    if orientation in (3, 4, 7, 8):
        rgba = rgba[::-1]
    return oriented(np.ascontiguousarray(rgba[:, :, :3]), orientation)


def _by_tifffile(data: bytes, directory: Directory) -> RgbImage:
    page = _page(data, directory)
    _check_complete(page, len(data))
    kind = _kind(page)
    try:
        values = page.asarray(maxworkers=1, buffersize=_READ_AT_ONCE)
    except (ValueError, NotImplementedError, ImportError) as error:
        # tifffile refuses kinds it does not know before it reads their data.
        if "not supported" in str(error) or "cannot decode" in str(error) or isinstance(error, ImportError):
            raise UnreadableImage(f"a TIFF of a kind that is not read ({kind}: {error})") from error
        raise
    if values.size == 0:
        raise UnreadableImage("the image is damaged: no pixels are in it")
    if np.issubdtype(values.dtype, np.complexfloating):
        raise UnreadableImage(f"a TIFF of a kind that is not read (complex numbers, {kind})")
    if page.bitspersample == 24 and page.parent.byteorder == ">" and values.dtype == np.uint32:
        values >>= 8  # tifffile leaves these in the upper bytes
    samples = _channels_last(values, page)
    return oriented(_rgb_of_page(samples, page, kind), directory.value(tiff_pages.ORIENTATION, 1))


def _page(data: bytes, directory: Directory) -> tifffile.TiffPage:
    with tifffile.TiffFile(_as_file(data, directory), name="scan") as tiff:
        page = tiff.pages.first
        if not isinstance(page, tifffile.TiffPage):
            raise UnreadableImage("the image is damaged: it has no directory")
    # The file object is not closed: it is ours, and the page reads from it.
    return page


def _as_file(data: bytes, directory: Directory) -> IO[bytes]:
    """The file as if this directory were its first."""
    return cast("IO[bytes]", Redirected(data, tiff_pages.redirected_header(data, directory)))


def _check_complete(page: tifffile.TiffPage, size: int) -> None:
    if not page.dataoffsets or len(page.dataoffsets) != len(page.databytecounts):
        raise UnreadableImage("the image is damaged: the places of its strips are not in it")
    for number, (offset, count) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
        if offset <= 0 or count <= 0 or offset + count > size:
            raise UnreadableImage(f"the image is damaged: strip {number} of {len(page.dataoffsets)} is not in the file")


def _stored(page: tifffile.TiffPage, data: bytes) -> list[memoryview]:
    view = memoryview(data)
    return [view[offset : offset + count] for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)]


def _kind(page: tifffile.TiffPage) -> str:
    return f"{page.bitspersample}-bit, {_name(page.photometric)}, {_name(page.compression)}"


def _name(member: Any) -> str:  # noqa: ANN401
    """The name of one of tifffile's constants; a number that it does not know."""
    return str(getattr(member, "name", member))


def _channels_last(values: npt.NDArray[Any], page: tifffile.TiffPage) -> npt.NDArray[Any]:
    """(height, width, channels), whatever order tifffile has the axes in; the first image of several."""
    axes = page.axes
    for axis in [axis for axis in axes if axis not in "YXS"]:
        values, axes = values.take(0, axis=axes.index(axis)), axes.replace(axis, "", 1)
    if "S" not in axes:
        values, axes = values[..., None], axes + "S"
    return values.transpose([axes.index(axis) for axis in "YXS"])


def _rgb_of_page(samples: npt.NDArray[Any], page: tifffile.TiffPage, kind: str) -> RgbImage:
    photometric = int(page.photometric)
    colours = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _PALETTE: 1, _RGB: 3, _YCBCR: 3, _INKS: 4, _CIELAB: 3, _ICCLAB: 3}
    count = colours.get(photometric)
    if photometric == _CIELAB and samples.shape[2] in (1, 2):
        # L* alone (TIFF 6.0, section 23): a* and b* are 0.
        samples = np.dstack([samples[:, :, :1], np.zeros((*samples.shape[:2], 2), samples.dtype)])
    if count is None or samples.shape[2] < count:
        raise UnreadableImage(f"a TIFF of a kind that is not read ({kind}, {samples.shape[2]} samples a pixel)")
    # Of samples of different depths tifffile makes bytes.
    bits = 8 * samples.dtype.itemsize if isinstance(page.bitspersample, tuple) else int(page.bitspersample)
    if photometric in (_CIELAB, _ICCLAB):
        return _rgb_of_lab_samples(samples[:, :, :3], bits, signed=photometric == _CIELAB)
    if photometric == _PALETTE:
        return _rgb_of_palette(samples[:, :, 0], page)
    stored = samples[:, :, :count]
    scale = scale_of(stored, bits)
    eight = to_eight_bits(stored, bits, scale=None if bits == 8 and stored.dtype == np.uint8 else scale)
    if photometric == _WHITE_IS_ZERO:
        np.subtract(255, eight, out=eight)
    alpha, premultiplied = _alpha(samples, count, page, scale)
    icc = page.tags.valueof(_ICC_PROFILE)
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[count]
    return rgb_of_samples(Samples(eight, mode, icc if isinstance(icc, bytes) else None, alpha, premultiplied))


def _alpha(
    samples: npt.NDArray[Any], colours: int, page: tifffile.TiffPage, scale: tuple[float, float]
) -> tuple[npt.NDArray[np.uint8] | None, bool]:
    """The transparency, and whether the colours were multiplied by it. Other extra samples have no meaning here."""
    kinds = [int(extra) for extra in page.extrasamples]
    for number, extra in enumerate(kinds):
        if extra in (_ASSOCIATED_ALPHA, _UNASSOCIATED_ALPHA) and colours + number < samples.shape[2]:
            alpha = samples[:, :, colours + number]
            own = scale_of(alpha, int(page.bitspersample))
            # Opacity is stored on the scale of the colours, or on a wider one of its own.
            full = (0.0, max(scale[1], own[1]))
            return to_eight_bits(alpha, int(page.bitspersample), scale=full), extra == _ASSOCIATED_ALPHA
    return None, False


def _rgb_of_palette(numbers: npt.NDArray[Any], page: tifffile.TiffPage) -> RgbImage:
    colormap = page.colormap
    numbers = numbers.astype(np.uint8) if numbers.dtype == np.bool_ else numbers
    if colormap is None or colormap.ndim != 2 or numbers.max(initial=0) >= colormap.shape[1]:
        raise UnreadableImage("the image is damaged: its palette lacks colours that it uses")
    # 16 bits a colour, but some writers use 8 of them.
    palette = (colormap >> 8 if colormap.max() > 255 else colormap).astype(np.uint8).T
    return np.ascontiguousarray(palette[numbers])


def _rgb_of_lab_samples(lab: npt.NDArray[Any], bits: int, *, signed: bool) -> RgbImage:
    """TIFF 6.0, section 23, and Technical Note 4: L* from 0 to 100, a* and b* signed, or from 0 with 128 as zero."""
    if np.issubdtype(lab.dtype, np.floating):
        scaled = lab.astype(np.float32)
        return _banded_lab(scaled)
    unit = float(2 ** (bits - 8))
    rgb = np.empty(lab.shape, dtype=np.uint8)
    for rows in bands(lab.shape[1], lab.shape[0]):
        band = lab[rows].astype(np.float32)
        if signed:
            # Their bits are those of signed numbers, whatever type the file gives.
            band[:, :, 1:] = np.where(band[:, :, 1:] >= 2 ** (bits - 1), band[:, :, 1:] - 2**bits, band[:, :, 1:])
        else:
            band[:, :, 1:] -= 128 * unit
        band[:, :, 0] = lab[rows][:, :, 0].astype(np.float32) % 2**bits * (100 / (2**bits - 1))
        band[:, :, 1:] /= unit
        rgb[rows] = rgb_of_lab(band)
    return rgb


def _banded_lab(lab: npt.NDArray[np.float32]) -> RgbImage:
    rgb = np.empty(lab.shape, dtype=np.uint8)
    for rows in bands(lab.shape[1], lab.shape[0]):
        rgb[rows] = rgb_of_lab(lab[rows])
    return rgb


class Redirected(io.RawIOBase):
    """The bytes of a file with other first bytes, without a copy of the rest."""

    def __init__(self, data: bytes, header: bytes) -> None:
        self._data, self._header = memoryview(data), header
        self._position = 0

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        """See io.RawIOBase."""
        target = memoryview(buffer).cast("B")
        part = self._data[self._position : self._position + len(target)]
        target[: len(part)] = part
        header = self._header[self._position : self._position + len(part)]
        target[: len(header)] = header
        self._position += len(part)
        return len(part)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See io.IOBase."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._data)}[whence]
        self._position = max(0, begin + offset)
        return self._position

    def readable(self) -> bool:
        """See io.IOBase."""
        return True

    def seekable(self) -> bool:
        """See io.IOBase."""
        return True
