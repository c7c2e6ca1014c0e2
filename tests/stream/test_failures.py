"""Which line a person reads when Kafka fails."""

from __future__ import annotations

import pytest
from kafka.errors import (
    BrokerNotAvailableError,
    FencedInstanceIdError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFencedError,
    RecordListTooLargeError,
)

from errors import Fatal
from settings import KafkaSettings
from stream.failures import is_fenced, is_too_large, kafka_errors_are_fatal


def _behind(cause: Exception) -> KafkaError:
    try:
        raise KafkaError("Cannot abort") from cause
    except KafkaError as error:
        return error


def _while_handling(earlier: Exception) -> KafkaError:
    try:
        try:
            raise earlier
        except KafkaError:
            raise KafkaError("Cannot abort")  # noqa: B904 - as a caller's own call does that fails in the handler
    except KafkaError as error:
        return error


# As kafka-python raises them: by the call that was refused, by `send` after it, and by any other method after it.
_REFUSED = [
    ProducerFencedError(),
    FencedInstanceIdError(),
    KafkaError("Cannot perform send because at least one previous request has failed", ProducerFencedError()),
    KafkaError(f"Cannot execute transactional method because we are in an error state: {ProducerFencedError()}"),
    _behind(ProducerFencedError()),
    _while_handling(ProducerFencedError()),
]


@pytest.mark.parametrize("error", _REFUSED, ids=repr)
def test_a_member_that_was_refused_is_told_so_whichever_call_finds_out(error: KafkaError) -> None:
    assert is_fenced(error)
    with pytest.raises(Fatal, match="another detect has taken over as member '0': give each its own --member"):
        _fail(error)


def test_a_record_that_is_too_large_is_known_whichever_call_finds_out() -> None:
    text = f"Cannot execute transactional method because we are in an error state: {MessageSizeTooLargeError()}"
    for error in (MessageSizeTooLargeError(), RecordListTooLargeError(), KafkaError(text)):
        assert is_too_large(error)
        assert not is_fenced(error)


def test_a_broker_that_is_lost_is_named() -> None:
    error = BrokerNotAvailableError("gone")
    assert not is_fenced(error)
    with pytest.raises(Fatal, match=r"detect lost the Kafka broker at 10\.0\.0\.1:9092"):
        _fail(error)


def _fail(error: KafkaError) -> None:
    with kafka_errors_are_fatal(KafkaSettings(bootstrap_servers="10.0.0.1:9092"), "detect", "0"):
        raise error
