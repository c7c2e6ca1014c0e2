"""Which of Kafka's errors stop a consumer, and the line that a person reads then. Both loops use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from kafka.errors import (
    FencedInstanceIdError,
    InvalidProducerEpochError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFencedError,
    RecordListTooLargeError,
)

from errors import Fatal
from settings import KafkaSettings

_FENCED = (FencedInstanceIdError, ProducerFencedError, InvalidProducerEpochError)
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


def is_fenced(error: BaseException | None) -> bool:
    """Whether another process has joined with the same member name or transactional id: the older one is refused."""
    return _is_or_names(error, _FENCED)


def is_too_large(error: BaseException | None) -> bool:
    """Whether a record is larger than this program sends, or than its topic takes."""
    return _is_or_names(error, _TOO_LARGE)


def first_refusal(sent: Iterable[Any]) -> BaseException | None:
    """Of kafka-python's futures of records, the error of the first that is too large; None where none is so far."""
    return next((one.exception for one in sent if one.failed() and is_too_large(one.exception)), None)


def _is_or_names(error: BaseException | None, kinds: tuple[type[KafkaError], ...]) -> bool:
    """Whether an error is one of these.

    A producer that was refused once answers every later call with a plain KafkaError. The first refusal is then among
    its arguments, behind it, or only named in its text, whichever method was called.
    """
    if error is None:
        return False
    if isinstance(error, kinds) or any(isinstance(argument, kinds) for argument in error.args):
        return True
    if isinstance(error, KafkaError) and any(kind.__name__ in str(error) for kind in kinds):
        return True
    return _is_or_names(error.__cause__, kinds) or _is_or_names(error.__context__, kinds)


@contextmanager
def kafka_errors_are_fatal(kafka: KafkaSettings, group: str, member_name: str) -> Iterator[None]:
    """Raise Fatal instead of Kafka's errors: where this member was fenced, and where the broker is lost."""
    try:
        yield
    except KafkaError as error:
        if is_fenced(error):
            line = f"another {group} has taken over as member {member_name!r}: give each its own --member"
            raise Fatal(line) from error
        raise Fatal(f"{group} lost the Kafka broker at {kafka.bootstrap_servers} ({error})") from error
