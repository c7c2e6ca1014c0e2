"""A process that has services: prints their addresses as a JSON line, lets go when its input ends or at Ctrl-C."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from kafka import KafkaAdminClient

from local.services import services
from settings import Settings
from tests.builders.kafka import for_subscribers


def main() -> None:
    # A shell that runs the tests in the background has its children ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    data, command, *options = sys.argv[1:]
    with services(
        Settings(data=Path(data)),
        kafka="no-kafka" not in options,
        exclusive="exclusive" in options,
        command=command,
    ) as running:
        try:
            print(json.dumps([running.kafka.bootstrap_servers, running.database.url]), flush=True)
            sys.stdin.read()
        except KeyboardInterrupt:
            client = KafkaAdminClient(**for_subscribers(running.kafka))
            print(json.dumps(client.list_topics()), flush=True)
            client.close()


if __name__ == "__main__":
    main()
