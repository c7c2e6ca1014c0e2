"""The cluster consumer with small transactions, run as a process that kills itself at one of them.

Usage: python -m tests.consumers.cluster_in_chunks BOOTSTRAP_SERVERS DATA EPS OUTPUTS KILL WHEN

Each transaction has at most OUTPUTS outputs. The process is killed, as by kill -9, at its transaction number KILL (0:
never), WHEN is `before` or `after` that transaction is committed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from kafka import KafkaProducer

from consumers import cluster
from settings import Settings
from stream import transform


def _kill_at(number: int, when: str) -> None:
    commit, committed = KafkaProducer.commit_transaction, 0

    def commit_transaction(producer: KafkaProducer) -> None:
        nonlocal committed
        committed += 1
        if committed == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        commit(producer)
        if committed == number:
            os.kill(os.getpid(), signal.SIGKILL)

    KafkaProducer.commit_transaction = commit_transaction


if __name__ == "__main__":
    data, eps, outputs, kill, when = sys.argv[1:]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    transform.CHUNK_OUTPUTS = int(outputs)
    _kill_at(int(kill), when)
    settings = Settings.model_validate(
        {"data": Path(data), "kafka": Settings().kafka, "clustering": {"eps": float(eps)}}
    )
    cluster.run(settings, "0", stop, lambda: datetime.now(UTC))
