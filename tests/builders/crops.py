"""A desk that serves pictures only: a catalogue with scans that a test writes, and the routes of `web.crops_routes`."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image
from psycopg import Connection

from catalogue.connection import connect
from schemas.faces import Face
from schemas.scans import Box
from settings import DatabaseSettings, DeskSettings, Settings, StoreSettings
from tests.builders.access import free_port, served
from tests.builders.catalogue import analysed, face, published, write_messages
from tests.builders.web import LOOPBACK
from web.crops import Crops
from web.crops_routes import Ask, crop_routes

Answer = TypeVar("Answer")


@dataclass
class CropDesk:
    """A running desk: its address, its catalogue, its data folder."""

    url: str
    connection: Connection
    data: Path
    crops: Crops

    def scan(
        self, scan_id: str, uri: str, content: bytes, *faces: Face, size: tuple[int, int], page: int | None = None
    ) -> None:
        """Publish a scan and its analysis, as the catalogue has them."""
        checksum = hashlib.sha256(content).hexdigest()
        write_messages(self.connection, "scans", published(scan_id, uri, sha256=checksum, page=page))
        analysis = analysed(scan_id, *faces).model_copy(
            update={"sha256": checksum, "width": size[0], "height": size[1]}
        )
        write_messages(self.connection, "faces", analysis)

    def file(self, scan_id: str, path: Path, *faces: Face, page: int | None = None) -> None:
        """The same with a file that there is, of which the size is of no interest."""
        self.scan(scan_id, path.as_uri(), path.read_bytes(), *faces, size=(4000, 4000), page=page)

    @property
    def kept(self) -> list[Path]:
        """The pictures on disk."""
        return sorted((self.data / "crops").rglob("*.jpg"))


def asks(database: DatabaseSettings) -> Ask:
    async def ask(query: Callable[[Connection], Answer]) -> Answer:
        def run() -> Answer:
            with connect(database) as connection:
                return query(connection)

        return await asyncio.to_thread(run)

    return ask


@contextmanager
def crop_desk(
    database: DatabaseSettings,
    data: Path,
    decode_deadline_s: float = 60.0,
    root: Path = Path("/"),
    **desk: object,
) -> Iterator[CropDesk]:
    """A desk served by uvicorn. Files below `root` and web servers of this machine may be read."""
    settings = Settings(
        data=data,
        database=database,
        stores=StoreSettings(roots=(root,), private_hosts=LOOPBACK, deadline_s=20.0),
        desk=DeskSettings.model_validate({"port": free_port()} | desk),
    )
    crops = Crops(settings, decode_deadline_s)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        async with crops:
            yield

    routes = crop_routes(crops, asks(database), settings.desk.public_collections)
    with connect(database) as connection, served(settings.desk, routes, lifespan) as url:
        yield CropDesk(url, connection, data, crops)


def lying(one: Face, turn: int = 0, negative: bool = False) -> Face:
    """A face that lies differently on its scan."""
    return one.model_copy(update={"turn": turn, "negative": negative})


def face_at(face_id: str, left: float, top: float, right: float, bottom: float) -> Face:
    return face(face_id, box=Box(left=left, top=top, right=right, bottom=bottom))


def picture(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    assert image.format == "JPEG"
    return image.convert("RGB")
