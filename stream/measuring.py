"""What both loops report of themselves: metrics, health and spans."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from schemas.base import Event
from schemas.generations import FIRST
from schemas.topics import Tombstone
from stream.member import Batch, Member
from stream.records import Headers, Received, Rejected, scan_of
from stream.stages import WITH_SNAPSHOTS, kind_of
from telemetry import metrics
from telemetry.health import health
from telemetry.tracing import Tracer, Traces

# Seconds between two looks at the lag.
_LOOK_EVERY_S = 1.0


class Measures:
    """The measures of one loop: that of this consumer."""

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer
        self._look_at = 0.0
        self._lagging: set[str] = set()
        self._restoring_since = self._step_since = 0.0
        self._has_age = False
        self._tracer = Tracer(consumer)
        self._traces = Traces()
        # Those of scans that were read and are not done with, see `RestoredStep.held`.
        self._held = Traces()

    def writes_to(self, generation: str | None) -> None:
        """The generation that is written to; None is the first one, which need not be the live one."""
        metrics.generation.labels(self._consumer, generation or FIRST).set(1)

    def restoring(self) -> None:
        """The state is restored from here on: until that is done, this member takes no part."""
        health.not_ready()
        metrics.taking_part.labels(self._consumer).set(0)
        self._restoring_since = time.monotonic()

    def restored(self, *, takes_part: bool) -> None:
        """The state is restored; or this member is a standby, which has none."""
        health.ready()
        metrics.taking_part.labels(self._consumer).set(int(takes_part))
        if takes_part:
            metrics.restore_seconds.labels(self._consumer).set(time.monotonic() - self._restoring_since)
            if kind_of(self._consumer) in WITH_SNAPSHOTS and not self._has_age:
                # Where none is ever saved, that is seen too.
                metrics.snapshot_timestamp.labels(self._consumer).set_to_current_time()
                self._has_age = True

    def look(self, member: Member) -> None:
        """Look at the lag, now and then."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK_EVERY_S
        lags = member.lags()
        # Of partitions that another member has now, that one counts what is left.
        for topic in self._lagging | lags.keys():
            metrics.lag.labels(self._consumer, topic).set(lags.get(topic, 0))
        self._lagging = {*lags}

    def steps(self, received: Iterable[Received]) -> None:
        """A step is given these records."""
        self._step_since = time.monotonic()
        traced = ((scan_of(one.message), one.record.headers) for one in received)
        self._traces = self._tracer.take(traced, self._consumer)

    def headers_of(self, output: Event | Tombstone) -> Headers:
        """The headers of a record that the step has made, beside its own."""
        scan_id = scan_of(output)
        return self._traces.headers_of(scan_id) or self._held.headers_of(scan_id)

    def stepped(self) -> None:
        """The step has taken them."""
        metrics.step_seconds.labels(self._consumer).observe(time.monotonic() - self._step_since)

    def read(self, batch: Batch, held: Collection[str] = ()) -> None:
        """They are processed and committed, but for the scans that are held."""
        self._traces.end()
        known = {**self._held.by_scan, **self._traces.by_scan}
        self._held = Traces({scan_id: known[scan_id] for scan_id in held if scan_id in known})
        self._traces = Traces()
        topics = Counter([*(one.topic for one in batch.received), *(one.consumed.topic for one in batch.rejected)])
        metrics.batch_records.labels(self._consumer).observe(topics.total())
        for topic, records in topics.items():
            metrics.records_read.labels(self._consumer, topic).inc(records)

    def committed(self, published: Mapping[str, int], rejected: Iterable[Rejected], seconds: float) -> None:
        """So many records are published to these topics, and those were rejected."""
        metrics.commit_seconds.labels(self._consumer).observe(seconds)
        for topic, records in published.items():
            metrics.records_published.labels(self._consumer, topic).inc(records)
        self.rejected(list(rejected))

    def rejected(self, rejected: Sequence[Rejected]) -> None:
        """These have become dead letters."""
        for one in rejected:
            metrics.dead_letters.labels(self._consumer, one.cause).inc()

    def saved(self, seconds: float) -> None:
        """A snapshot is saved."""
        metrics.snapshot_timestamp.labels(self._consumer).set_to_current_time()
        metrics.snapshot_seconds.labels(self._consumer).set(seconds)

    def close(self) -> None:
        """Send the spans that are not sent yet."""
        self._tracer.close()
