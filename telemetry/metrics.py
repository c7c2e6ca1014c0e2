"""The metrics of a process, named as Prometheus recommends (https://prometheus.io/docs/practices/naming/).

They are held by the library's own registry, one a process, as it is meant to be used. No label names a face, a scan or
a person. docs/metrics.md lists all of them. Memory and processor time are the library's own, `process_…`.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

# From a millisecond to the minutes that a heavy scan takes.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
# Up to the hours that a store may be away.
_WAITED_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
_RECORDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)


records_read = Counter("facestream_records_read", "Records processed and committed", ["consumer", "topic"])
records_published = Counter("facestream_records_published", "Records published by a consumer", ["consumer", "topic"])
dead_letters = Counter("facestream_dead_letters", "Records that could not be used", ["consumer", "cause"])
batch_records = Histogram("facestream_batch_records", "Records of a batch", ["consumer"], buckets=_RECORDS)
step_seconds = Histogram(
    "facestream_step_duration_seconds", "Time of a batch in its step", ["consumer"], buckets=_SECONDS
)
commit_seconds = Histogram(
    "facestream_commit_duration_seconds", "Time from the end of a step until it is committed", ["consumer"],
    buckets=_SECONDS,
)  # fmt: skip
lag = Gauge("facestream_lag_records", "Records of its own partitions that a member has not read", ["consumer", "topic"])
taking_part = Gauge("facestream_taking_part", "1 for a member that has partitions, 0 for a standby", ["consumer"])
restore_seconds = Gauge("facestream_restore_duration_seconds", "Time that the last restore took", ["consumer"])
snapshot_timestamp = Gauge(
    "facestream_snapshot_timestamp_seconds",
    "When the last snapshot was saved, in Unix time; before the first since the start, when the state was restored",
    ["consumer"],
)
snapshot_seconds = Gauge("facestream_snapshot_duration_seconds", "Time that the last snapshot took", ["consumer"])
generation = Gauge("facestream_generation_info", "1 for the generation that is written to", ["consumer", "generation"])

scans_analysed = Counter("facestream_scans_analysed", "Scans that were analysed")
faces_found = Counter("facestream_faces_found", "Faces found on them")
stage_seconds = Histogram(
    "facestream_stage_duration_seconds", "Time of a stage within the step of detect", ["stage"], buckets=_SECONDS
)
scans_waiting = Gauge("facestream_scans_waiting", "Scans that wait for their store")

indexed_faces = Gauge("facestream_indexed_faces", "Live faces in the index")
audited_scans = Gauge("facestream_audited_scans", "Scans that the audit has compared")
audit_recall = Gauge("facestream_audit_recall_ratio", "Pairs of neighbours found before the audit, of all")

clusters = Gauge("facestream_clusters", "Clusters that there are")
clustered_faces = Gauge("facestream_clustered_faces", "Faces that are clustered or noise")
cluster_changes = Counter("facestream_cluster_changes", "Changes of clusters", ["change"])

event_to_catalogue = Histogram(
    "facestream_event_to_catalogue_seconds", "Time from an event to its row", ["topic"], buckets=_WAITED_SECONDS
)
scan_to_catalogue = Histogram(
    "facestream_scan_to_catalogue_seconds", "Time from a scan's publication to the row of its analysis",
    buckets=_WAITED_SECONDS,
)  # fmt: skip

scans_published = Counter("facestream_scans_published", "Scans that this process has published")
consumer_restarts = Counter("facestream_consumer_restarts", "Consumers that ended and were started again", ["consumer"])
service_restarts = Counter("facestream_service_restarts", "Embedded services that ended and were started again")
