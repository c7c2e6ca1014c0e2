"""Traces through the topics: the header `traceparent` of a record (W3C Trace Context, section 3.2), and spans.

Whoever publishes a scan begins a trace, whose id is random. It goes on with all records of the same scan that are made
of it, by hand: the instrumentation of kafka-python that there is does not see `poll`. A line of a log about such a
record has the id, which leads to the scan through the topics alone. Where OpenTelemetry's own variable
OTEL_EXPORTER_OTLP_ENDPOINT names a collector, each record of a trace becomes a span of it too.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

TRACEPARENT = "traceparent"

Headers = tuple[tuple[str, bytes], ...]

_FORM = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


@dataclass
class Traces:
    """Those of a batch: for each scan, the header that goes on, and the spans that end with it."""

    by_scan: dict[str, bytes] = field(default_factory=dict)
    spans: list[Any] = field(default_factory=list)

    def headers_of(self, scan_id: str | None) -> Headers:
        """What goes into the header of a record of this scan."""
        value = self.by_scan.get(scan_id) if scan_id is not None else None
        return () if value is None else ((TRACEPARENT, value),)

    def end(self) -> None:
        """What was made of the batch is committed."""
        for span in self.spans:
            span.end()
        self.spans.clear()


class Tracer:
    """Takes traces on in one service, such as a consumer. Spans are sent from a thread of its own."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._provider: Any = _provider(service) if any(os.environ.get(name) for name in _ENDPOINTS) else None
        self._tracer = self._provider.get_tracer("facestream") if self._provider else None

    def take(self, records: Iterable[tuple[str | None, Sequence[tuple[str, bytes | None]]]], name: str) -> Traces:
        """Take on the traces of records, each with the id of its scan. `name`: of their spans."""
        traces = Traces()
        for scan_id, headers in records:
            value = parent_in(headers)
            if value is None or scan_id is None:
                continue
            if self._tracer is not None:
                span = self._span(name, scan_id, value)
                traces.spans.append(span)
                value = _value(span.get_span_context())
            traces.by_scan[scan_id] = value
        return traces

    def begin(self, name: str, scan_id: str) -> Headers:
        """Begin a trace of a scan, with a span where spans are sent; the header of its record."""
        if self._tracer is None:
            return ((TRACEPARENT, f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00".encode()),)
        span = self._span(name, scan_id, None)
        span.end()
        return ((TRACEPARENT, _value(span.get_span_context())),)

    def _span(self, name: str, scan_id: str, parent: bytes | None) -> Any:  # noqa: ANN401
        assert self._tracer is not None
        attributes = {"messaging.system": "kafka", "facestream.scan": scan_id}
        return self._tracer.start_span(name, context=_context(parent), attributes=attributes, start_time=time.time_ns())

    def close(self) -> None:
        """Send what is not sent yet."""
        if self._provider is not None:
            with suppress(Exception):  # a collector that is away holds nobody up
                self._provider.shutdown()


def parent_in(headers: Sequence[tuple[str, bytes | None]]) -> bytes | None:
    """The value of the header, where there is one that says something."""
    value = next((value for name, value in headers if name == TRACEPARENT), None)
    return value if value is not None and _FORM.fullmatch(value) else None


def trace_in(headers: Sequence[tuple[str, bytes | None]]) -> str | None:
    """The id of the trace that a record belongs to, where it has one."""
    match = _FORM.fullmatch(parent_in(headers) or b"")
    return match[1].decode() if match else None


def in_log(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    """What a line of a log about a record has of its trace."""
    trace = trace_in(headers)
    return {"trace_id": trace} if trace else {}


def _value(context: Any) -> bytes:  # noqa: ANN401
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}".encode()


# Imported where they are needed: without a collector nobody waits for them.


def _provider(service: str) -> Any:  # noqa: ANN401
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": f"facestream-{service}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _context(parent: bytes | None) -> Any:  # noqa: ANN401
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    match = _FORM.fullmatch(parent or b"")
    if match is None:
        return Context()
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return set_span_in_context(NonRecordingSpan(context), Context())
