"""What the consumers of a running archive have published of their stages, as Prometheus reads it from `/metrics`."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from errors import UserError
from models.profiling import ANALYSIS

_DEADLINE_S = 10.0
_MOST_BYTES = 10_000_000
# A batch in the step of a consumer, the records that it has read, and the memory of its process.
_STEP = "facestream_step_duration_seconds"
_READ = "facestream_records_read_total"
_STAGE = "facestream_stage_duration_seconds"
_HITS = {"scan": "facestream_scans_analysed_total", "face": "facestream_faces_found_total"}
_RESIDENT = "process_resident_memory_bytes"


@dataclass(frozen=True)
class LiveStage:
    """The step of one consumer since its process began: records read, seconds, and the memory of the process now.

    A record is a scan for detect, an analysis for index, and what the topics of the others hold. Or a stage within
    detect: the scans or faces that were analysed, and the seconds of all worker processes together.
    """

    stage: str
    process: str
    hits: int
    seconds: float
    resident_mib: float | None


def live_stages(urls: Sequence[str]) -> Iterator[LiveStage]:
    """The stages of the processes that serve their metrics at these urls. Raises UserError."""
    for url in urls:
        yield from _stages(url, _text(url))


def _stages(url: str, text: str) -> list[LiveStage]:
    seconds: dict[str, float] = {}
    within: dict[str, float] = {}
    read: Counter[str] = Counter()
    hits: dict[str, int] = {}
    resident: float | None = None
    try:
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    except ValueError as error:
        raise UserError(f"{url}: no metrics of Prometheus ({error})") from error
    for sample in samples:
        consumer = sample.labels.get("consumer", "")
        if sample.name == _RESIDENT:
            resident = sample.value / 2**20
        elif sample.name == f"{_STEP}_sum":
            seconds[consumer] = sample.value
        elif sample.name == f"{_STAGE}_sum":
            within[sample.labels.get("stage", "")] = sample.value
        elif sample.name in _HITS.values():
            hits[sample.name] = int(sample.value)
        elif sample.name == _READ:
            read[consumer] += int(sample.value)
    if not seconds:
        raise UserError(f"{url}: no steps among these metrics: name the address of a consumer that has read something")
    stages = [(stage, hits.get(_HITS[of], 0), within[stage]) for stage, of in ANALYSIS.items() if stage in within]
    steps = [(consumer, read[consumer], taken) for consumer, taken in seconds.items()]
    return [LiveStage(stage, url, count, taken, resident) for stage, count, taken in [*steps, *stages]]


def _text(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise UserError(f"{url}: name metrics by an address such as http://127.0.0.1:9100/metrics")
    try:
        with urllib.request.urlopen(url, timeout=_DEADLINE_S) as response:
            return str(response.read(_MOST_BYTES).decode("utf-8", "replace"))
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else str(error).strip()
        raise UserError(f"{url}: no metrics there ({reason})") from error
