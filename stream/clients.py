"""Kafka clients with this project's settings. Every consumer reads committed records only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.serializer import Serializer
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from errors import Fatal
from schemas.topics import Record
from settings import KafkaSettings
from stream import batches
from stream.connection_errors import connection_error

MAX_RECORD_BYTES = 32 * 1024 * 1024
"""The largest record: the neighbours of a scan full of the most photographed people of an archive."""

FETCH_BYTES = 4 * 1024 * 1024
"""What a consumer gets of a partition at once, and so has in one batch; where the next record is larger, that alone.

It bounds what a step takes into memory, what it publishes in one transaction, and how long that takes: a scan of a
thousand faces has a megabyte, and ten times that of neighbours.
"""

# A request costs kafka-python and the broker as much as many records. A flush or a commit does not wait for `linger`.
_BATCH_BYTES = 1024 * 1024
_LINGER_MS = 50

# While a broker is away, clients try again after this at most. By default they would wait for up to half a minute, also
# after it is back.
_RECONNECT_WITHIN_MS = 1_000

# While the broker is still ending a transaction, the next one cannot begin: kafka-python (3.0.12) sleeps so long before
# it asks again, by default 100 ms. A consumer in a steady stream commits several times a second.
_TRANSACTION_RETRY_MS = 20

_BEGUN_WITHIN_S = 30.0
_LOOK_EVERY_S = 0.2

patiently = retry(
    retry=retry_if_exception(lambda error: isinstance(error, KafkaError) and error.retriable),
    wait=wait_fixed(0.2),
    stop=stop_after_delay(15),
    reraise=True,
)
"""Retries questions about groups: a broker that has just started first creates or loads their topic."""


_NO_KEY = object()


class NoAnswer(KafkaTimeoutError):  # type: ignore[misc]
    """A call of a transactional producer was given up, and so is the producer."""


def consumer(kafka: KafkaSettings, **options: Any) -> KafkaConsumer:  # noqa: ANN401
    """A consumer that reads committed records, from the beginning where no offset is known.

    It skips batches that cannot be read, see `stream.batches`. Raises Fatal if the broker does not answer.
    """
    batches.install()
    return _connect(
        KafkaConsumer,
        kafka,
        enable_auto_commit=False,
        allow_auto_create_topics=False,
        **{
            "isolation_level": "read_committed",
            "auto_offset_reset": "earliest",
            "max_partition_fetch_bytes": FETCH_BYTES,
            **options,
        },
    )


def producer(kafka: KafkaSettings, **options: Any) -> KafkaProducer:  # noqa: ANN401
    """An idempotent producer that waits for all replicas. Raises Fatal if the broker does not answer.

    Records that another program wrote are sent with `key_to_send`.
    """
    if "transactional_id" in options:
        options = {"retry_backoff_ms": _TRANSACTION_RETRY_MS, **options}
    return _connect(
        KafkaProducer,
        kafka,
        acks="all",
        enable_idempotence=True,
        allow_auto_create_topics=False,
        max_request_size=MAX_RECORD_BYTES,
        batch_size=_BATCH_BYTES,
        linger_ms=_LINGER_MS,
        key_serializer=_Keys(),
        **options,
    )


def key_to_send(record: Record) -> Any:  # noqa: ANN401
    """The key by which a `producer` sends a record, also one that has neither key nor value.

    kafka-python refuses that one, which Kafka takes in topics that are not compacted; it looks before it serializes.
    """
    return _NO_KEY if record.key is None and record.value is None else record.key


class _Keys(Serializer):  # type: ignore[misc]
    def serialize(self, topic: str, headers: object, data: object) -> object:  # noqa: ARG002
        return None if data is _NO_KEY else data


def admin(kafka: KafkaSettings) -> KafkaAdminClient:
    """A client for topics and groups. Raises Fatal if the broker does not answer."""
    return _connect(KafkaAdminClient, kafka)


def close_producer(producer: KafkaProducer, within_s: float) -> None:
    """Close a producer, also where its broker is gone: what it has not sent by then is given up without a word."""
    try:
        producer.close(timeout=within_s)
    except KafkaError:
        # It stays open then, and would raise again when it is collected.
        producer._sender.initiate_close()
        producer._sender.force_close()
        producer._closed = True


def bounded(
    call: Callable[[], None], within_s: float, failure: Callable[[], BaseException | None] = lambda: None
) -> None:
    """Make a call of a transactional producer, which itself may wait for ever for an answer that was lost.

    Raises what the call raises, what `failure` returns meanwhile, and NoAnswer after `within_s`; the producer is of no
    use any more after the last two.
    """
    errors: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised by the caller
            errors.append(error)

    # A daemon: one that waits for ever does not keep the process from ending.
    thread = threading.Thread(target=run, name="transaction", daemon=True)
    thread.start()
    deadline = time.monotonic() + within_s
    while thread.is_alive() and time.monotonic() < deadline:
        thread.join(min(_LOOK_EVERY_S, within_s))
        if thread.is_alive() and (error := failure()) is not None:
            raise error
    if errors:
        raise errors[0]
    if thread.is_alive():
        raise NoAnswer(f"no answer within {within_s:.0f} s")


def begin_transactions(producer: KafkaProducer) -> None:
    """End the transactions of those before it with its id, and begin its own.

    Raises KafkaError; NoAnswer after 30 s. A broker that has just started first creates or loads the topic of
    transactions.
    """
    bounded(patiently(producer.init_transactions), _BEGUN_WITHIN_S)


def is_answering(kafka: KafkaSettings, within_s: float) -> bool:
    """Whether the broker answers a new client at once."""
    try:
        _connect(KafkaAdminClient, kafka, bootstrap_timeout_ms=int(within_s * 1000)).close()
    except Fatal:
        return False
    return True


def _connect(client: Any, kafka: KafkaSettings, **options: Any) -> Any:  # noqa: ANN401
    if kafka.bootstrap_servers is None:
        raise Fatal("no Kafka broker is configured: set FACESTREAM_KAFKA__BOOTSTRAP_SERVERS")
    with connection_error() as why:
        try:
            return client(
                bootstrap_servers=kafka.bootstrap_servers.split(","),
                reconnect_backoff_max_ms=_RECONNECT_WITHIN_MS,
                **_security(kafka),
                **options,
            )
        except KafkaError as error:
            cause = str(why.last or error).replace("\n", " ")
            # A broker that speaks TLS answers one that does not with an alert, which reads as a length.
            if "disconnected" in cause or "frame length" in cause:
                cause += ": it ends the connection where security_protocol, user or password is wrong"
            raise Fatal(f"no answer from the Kafka broker at {kafka.bootstrap_servers} ({cause})") from error


def _security(kafka: KafkaSettings) -> dict[str, Any]:
    options = {
        "security_protocol": kafka.security_protocol,
        "sasl_mechanism": kafka.sasl_mechanism,
        "sasl_plain_username": kafka.sasl_username,
        "sasl_plain_password": kafka.sasl_password.get_secret_value() if kafka.sasl_password else None,
        "ssl_cafile": str(kafka.ssl_cafile) if kafka.ssl_cafile else None,
        "ssl_certfile": str(kafka.ssl_certfile) if kafka.ssl_certfile else None,
        "ssl_keyfile": str(kafka.ssl_keyfile) if kafka.ssl_keyfile else None,
        "ssl_password": kafka.ssl_password.get_secret_value() if kafka.ssl_password else None,
    }
    return {name: value for name, value in options.items() if value is not None}
