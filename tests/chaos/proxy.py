"""A loopback proxy whose connections can be cut: between clients and the broker, or the database.

A broker answers its clients with its own address. So that they stay behind the proxy, its answers are changed: the
proxy's address stands in them instead, which is as long.
"""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

_HOST = "127.0.0.1"

Result = TypeVar("Result")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Serves a port of its own in a thread. A context manager; the port is there from its beginning to its end."""

    def __init__(self, reach: Callable[[], Awaitable[Streams]], broker_port: int | None = None) -> None:
        """reach: connects to what is behind it. broker_port: that of a broker, whose answers are changed."""
        self._reach = reach
        self._broker_port = broker_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._open: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, _HOST, 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._open) // 2

    def cut(self) -> None:
        """End all connections and let none through until `heal`."""
        self._is_cut = True
        self._call(self._close_all())

    def heal(self) -> None:
        """Let connections through again."""
        self._is_cut = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    def _call(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)

    async def _close_all(self) -> None:
        for writer in list(self._open):
            # Without what is still to be sent, as where a cable is pulled.
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            behind, to_behind = await self._reach()
        except OSError:
            writer.transport.abort()
            return
        both = {writer, to_behind}
        self._open |= both
        back = self._answers if self._broker_port else _bytes
        try:
            forth = asyncio.ensure_future(_bytes(reader, to_behind))
            await asyncio.wait(
                [forth, asyncio.ensure_future(back(behind, writer))], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            self._open -= both
            for end in both:
                end.transport.abort()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Frame by frame: four bytes of length, then so many."""
        host = _HOST.encode()
        its, ours = (host + struct.pack(">i", port) for port in (self._broker_port, self.port))
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                length = await reader.readexactly(4)
                frame = await reader.readexactly(int.from_bytes(length, "big"))
                writer.write(length + frame.replace(its, ours))
                await writer.drain()


async def _bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while some := await reader.read(64 * 1024):
            writer.write(some)
            await writer.drain()


def before_broker(port: int) -> Proxy:
    """A proxy before the broker at this port."""
    return Proxy(lambda: asyncio.open_connection(_HOST, port), broker_port=port)


def before_database(socket: Path) -> Proxy:
    """A proxy before the database that listens on this socket."""
    return Proxy(lambda: asyncio.open_unix_connection(socket))
