"""The image of a scan, from its uri: fetched, checked to be the published file, decoded in time."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext

from models.images import RgbImage, decode
from models.stores.errors import UnavailableImage
from models.stores.stores import Fetch
from models.worker_process import Deadline
from schemas.uris import without_credentials


class ChangedImage(UnavailableImage):
    """The file at the uri is not the one that was published. The text says so."""


def scan_image(uri: str, sha256: str, page: int | None, fetch: Fetch, deadline: Deadline | None = None) -> RgbImage:
    """The image of a scan as a person sees it. `deadline` ends this process where decoding takes too long.

    Raises what `fetch` raises (models.stores.stores), ChangedImage and UnreadableImage.
    """
    data = fetch(uri)
    # The digest is not in the reason: it would show whoever may publish scans what is in a file.
    if hashlib.sha256(data).hexdigest() != sha256:
        shown = without_credentials(uri)
        raise ChangedImage(f"{shown} has another sha256 than it was published with: publish it again as it is now")
    with deadline.watched() if deadline else nullcontext():
        return decode(data, page)
