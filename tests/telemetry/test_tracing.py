"""A trace goes on with the records of its scan; its spans reach a collector, where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from telemetry.tracing import Tracer, parent_in, trace_in

TRACE = "0af7651916cd43dd8448eb211c80319c"
VALUE = f"00-{TRACE}-b7ad6b7169203331-01".encode()


def test_without_a_collector_what_came_goes_on_as_it_is() -> None:
    tracer = Tracer("index")
    traces = tracer.take([("a", (("traceparent", VALUE),)), ("b", ())], "index")
    assert traces.headers_of("a") == (("traceparent", VALUE),)
    assert traces.headers_of("b") == traces.headers_of(None) == ()


def test_a_trace_begins_without_a_collector_too_and_no_two_are_the_same() -> None:
    tracer = Tracer("feed")
    one, other = tracer.begin("publish", "scan"), tracer.begin("publish", "scan")
    assert parent_in(one) == dict(one)["traceparent"]
    assert trace_in(one) and trace_in(one) != trace_in(other)
    assert tracer.take([("scan", one)], "detect").headers_of("scan") == one


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        VALUE.upper(),
        VALUE + b"\n",
        b"ff" + VALUE[2:],
    ],
)
def test_a_header_that_says_nothing_is_left_out(value: bytes | None) -> None:
    assert parent_in([("traceparent", value)]) is None


@given(st.binary())
def test_whatever_the_header_holds_nothing_fails(value: bytes) -> None:
    assert parent_in([("traceparent", value)]) in (None, value)


def test_spans_reach_a_collector_as_one_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as (url, spans):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        feed, detect = Tracer("feed"), Tracer("detect")
        traces = detect.take([("scan", feed.begin("publish", "scan"))], "detect")
        ((_, value),) = traces.headers_of("scan")
        traces.end()
        feed.close()
        detect.close()
    published, detected = sorted(spans, key=lambda span: span.parent_span_id)
    assert (published.name, detected.name) == ("publish", "detect")
    assert published.trace_id == detected.trace_id and detected.parent_span_id == published.span_id
    assert value.startswith(f"00-{detected.trace_id.hex()}-{detected.span_id.hex()}-".encode())
    assert detected.start_time_unix_nano <= detected.end_time_unix_nano


def test_a_collector_that_is_away_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    tracer = Tracer("feed")
    assert tracer.begin("publish", "scan")
    tracer.close()


@contextmanager
def collector() -> Iterator[tuple[str, list[Span]]]:
    """An OTLP collector, and the spans that it was sent."""
    spans: list[Span] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", spans
        finally:
            server.shutdown()
            thread.join()
