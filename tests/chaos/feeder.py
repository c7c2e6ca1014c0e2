"""Feeds a run in a thread, through whatever is done to it: each portion is sent until the broker has all of it."""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from errors import Fatal
from schemas.codec import encode
from schemas.topics import Tombstone, topic_of
from settings import KafkaSettings
from stream import clients
from tests.builders.clock import now
from tests.chaos.inputs import Message, Portion

_AGAIN_S = 0.3
_SENT_WITHIN_S = 10.0
# It is better to begin again than to wait for an answer of a broker that was killed.
_PATIENCE = {"delivery_timeout_ms": 10_000, "request_timeout_ms": 5_000}


class Feeder:
    """Sends portions in the order given. A context manager: at its end everything is sent."""

    def __init__(self, kafka: KafkaSettings, incoming: Path) -> None:
        self._kafka = kafka
        self._incoming = incoming
        self._portions: queue.SimpleQueue[Portion | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self._producer: KafkaProducer | None = None
        self.sent_again = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._portions.put(None)
        if kind is None:
            self._thread.join()
        self._close()

    def put(self, portion: Portion) -> None:
        """Send this after all before it; returns at once."""
        self._portions.put(portion)

    def _run(self) -> None:
        while (portion := self._portions.get()) is not None:
            if portion.watched is not None:
                self._put_into_folder(portion.watched)
            self._send(portion.messages)

    def _put_into_folder(self, path: Path) -> None:
        while True:
            # Its disk may be full.
            with suppress(OSError):
                shutil.copy(path, self._incoming)
                return
            time.sleep(_AGAIN_S)

    def _send(self, messages: Sequence[Message]) -> None:
        """Again from the first, where it is not known how far it came: that leads to the same."""
        while True:
            try:
                if self._producer is None:
                    self._producer = clients.producer(self._kafka, **_PATIENCE)
                sent = [self._sent(self._producer, number, message) for number, message in enumerate(messages)]
                for future in sent:
                    future.get(timeout=_SENT_WITHIN_S + 5)
                return
            except (KafkaError, Fatal):
                self.sent_again += 1
                self._close()
                time.sleep(_AGAIN_S)

    def _sent(self, producer: KafkaProducer, number: int, message: Message):  # type: ignore[no-untyped-def] # noqa: ANN202
        record = encode(message, event_id=f"{message.key}-{number}", time=now())
        topic = message.topic if isinstance(message, Tombstone) else topic_of(message)
        return producer.send(topic.name, value=record.value, key=record.key, headers=list(record.headers))

    def _close(self) -> None:
        if self._producer is not None:
            clients.close_producer(self._producer, within_s=1)
            self._producer = None
