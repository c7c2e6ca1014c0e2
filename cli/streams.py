"""The standard streams as they may be: closed, on a full disk, a pipe that nobody reads, or unable to show a letter.

Results are what a command is run for, so one that cannot print them ends: quietly where the reader has gone, as `head`
does, with one line otherwise. What it reports on the standard error is not worth ending for.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

# What a shell gives as the status of a process that SIGPIPE has ended.
READER_GONE = 141


class OutputFailed(Exception):
    """Standard output takes nothing more. Not a FacestreamError, so that nobody takes it for another one's failure."""

    def __init__(self, error: OSError) -> None:
        """The error of writing to it."""
        super().__init__(f"the output cannot be written: {error.strerror or error}")
        self.reader_gone = error.errno == errno.EPIPE


@contextmanager
def usable_streams() -> Iterator[None]:
    """Within it, a failure of standard output is an OutputFailed, also at the end; one of standard error is nothing."""
    output, error = sys.stdout, sys.stderr
    _open_closed_ones()
    sys.stdout, sys.stderr = _Output(sys.stdout), _Reports(sys.stderr)
    try:
        try:
            yield
        except SystemExit:
            # As every command ends.
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except OutputFailed:
        # What is left in the buffer would fail once more when the interpreter ends.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
    finally:
        sys.stdout, sys.stderr = output or sys.stdout, error or sys.stderr


def _open_closed_ones() -> None:
    """Put something in the place of what is closed: the next file or socket that is opened would get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Writing results to it fails, as it would to the closed one.
            descriptor = os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


class _Stream:
    """A text stream whose letters are all written: those that its encoding lacks as escapes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        with suppress(AttributeError, ValueError, OSError):
            if "utf" not in (stream.encoding or "").lower():
                stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]

    def writelines(self, lines: Any) -> None:  # noqa: ANN401
        """As that of a file."""
        for line in lines:
            self.write(line)

    def write(self, text: str) -> int:
        """As that of a file."""
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._stream, name)


class _Output(_Stream):
    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise OutputFailed(error) from error

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            raise OutputFailed(error) from error


class _Reports(_Stream):
    def write(self, text: str) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()
