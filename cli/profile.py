"""`facestream profile`: what each stage takes, beside the thesis's Tables 2 to 5; of scans, or of a running archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.table import Column, Table
from rich.text import Text

from calibration.builtin import builtin_reference
from cli.common import load_settings, now
from cli.options import Data, Json
from cli.printing import console, figure, print_line, print_rows, stderr
from cli.progress import progress_bar
from cli.run import Upsample
from cli.stage_metrics import live_stages
from clustering.clustering import Clustering
from consumers.cluster import parameters_of
from consumers.index import parameters_of as index_parameters_of
from consumers.references import space_of_settings
from errors import UserError
from evaluation import thesis
from index.entries import Analysed
from index.face_index import FaceIndex
from models.analyse import Engine, EngineParameters, analyse_scans, load_engine
from models.descriptions import DLIB_SPACE
from models.images import RgbImage, UnreadableImage
from models.onnx_session import on_gpu
from models.profiling import ANALYSIS, DECODING, DETECTION, EMBEDDING, READING, REST, StageClock, Usage, timed
from models.scan_image import scan_image
from models.stores.errors import StoreUnavailable, UnavailableImage
from models.stores.parameters import StoreParameters
from models.stores.stores import Stores
from producers.files import Listing, list_sources, scans_of
from schemas.faces import ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.scans import ScanPublished
from settings import ClusteringSettings, ModelSettings, Settings
from stream.stages import CLUSTER

LOADING, NEIGHBOURS, CLUSTERING = "loading", "neighbours", "clustering"
# What a stage is counted in.
_OF = {LOADING: "run", **ANALYSIS, NEIGHBOURS: "face", CLUSTERING: "face"}
# Scans that are analysed together, as the detect consumer does; their faces are embedded in one call.
_TOGETHER = 4
_THESIS = (
    "the thesis: detection and embedding on a GPU, scans of one megapixel; clustering on a CPU, scikit-learn's DBSCAN "
    f"of {thesis.FACES:,} faces at once. A dash: that figure is not known here"
)


@dataclass(frozen=True)
class StageRow:
    """One stage. average_ms: of one scan or face, see `of`. cpu_s: processor time of all threads, of the total.

    grown_mib: by how much the memory of the process grew in this stage. device: cpu or gpu.
    """

    stage: str
    of: str
    hits: int
    average_ms: float | None
    total_s: float
    cpu_s: float
    grown_mib: float
    device: str
    thesis_average_ms: float | None
    thesis_total_s: float | None
    thesis_device: str | None


@dataclass(frozen=True)
class LiveRow:
    """The step of a running consumer, or a stage within it. resident_mib: the memory of its process now.

    A hit is a record, or a scan or a face of a stage.
    """

    stage: str
    process: str
    hits: int
    average_ms: float | None
    total_s: float
    resident_mib: float | None
    thesis_average_ms: float | None
    thesis_total_s: float | None


def profile(
    scans: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[SCANS]...", help="Folders, files or manifests. Nothing is published."),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="A running archive instead: the address where a process serves its metrics. Repeat it for others.",
            show_default=False,
        ),
    ] = None,
    upsample: Upsample = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """What each stage takes: hits, average and total time, memory, and whether it runs on a GPU, beside the thesis's.

    Scans are analysed and clustered in this process alone, one stage after the other, and nothing is published.
    """
    if bool(scans) == bool(metrics):
        raise UserError("name scans, or where a running archive serves its metrics (--metrics URL)")
    if metrics:
        _print_live([_live_row(*asdict(it).values()) for it in live_stages(metrics)], json_)
        return
    settings = load_settings(data, models={"upsample": upsample})
    listing = list_sources(scans or [])
    rows, left_out = profiled(settings, listing)
    for reason in left_out[:1]:
        stderr.print(f"scans that could not be analysed: {len(left_out):,} ({reason})", style="yellow", soft_wrap=True)
    if json_:
        print_rows(rows)
        return
    _print(rows)


def profiled(settings: Settings, listing: Listing) -> tuple[list[StageRow], list[str]]:
    """A row for each stage, and why scans could not be analysed. Raises UserError where none could be."""
    process = psutil.Process()
    clock = StageClock(lambda: int(process.memory_info().rss))
    models = settings.models
    with clock.stage(LOADING):
        engine = load_engine(EngineParameters(**models.model_dump(exclude={"processes", "decode_deadline_s"})))
    parameters = StoreParameters.of(settings.stores.model_dump(), settings.data)
    stores = Stores(StoreParameters(**{**vars(parameters), "roots": (*parameters.roots, *listing.roots)}))
    left_out: list[str] = []
    analysed = []
    with progress_bar("scans") as progress:
        for batch in _batches(progress.track(_scans(listing, stores, left_out), total=len(listing.sources))):
            analysed += _analysed(timed(engine, clock), batch, stores, clock, left_out)
    if not analysed:
        raise UserError(f"none of the {len(left_out):,} scans could be analysed ({left_out[0]})")
    _cluster(settings, analysed, clock)
    counts = {"run": 1, "scan": len(analysed), "face": sum(len(scan.faces) for scan in analysed)}
    on = _devices(models)
    return [_row(name, counts[of], clock, on.get(name, "cpu")) for name, of in _OF.items()], left_out


def _scans(listing: Listing, stores: Stores, left_out: list[str]) -> Iterator[list[ScanPublished]]:
    """The scans of each file."""
    for source in listing.sources:
        try:
            yield list(scans_of(source, now, stores.fetch))
        except (StoreUnavailable, UserError) as error:
            left_out.append(str(error))
            yield []


def _batches(files: Iterable[list[ScanPublished]]) -> Iterator[list[ScanPublished]]:
    batch: list[ScanPublished] = []
    for scans in files:
        batch += scans
        while len(batch) >= _TOGETHER:
            yield batch[:_TOGETHER]
            batch = batch[_TOGETHER:]
    if batch:
        yield batch


def _analysed(
    engine: Engine, scans: Sequence[ScanPublished], stores: Stores, clock: StageClock, left_out: list[str]
) -> list[ScanAnalysed]:
    def fetch(uri: str) -> bytes:
        with clock.stage(READING):
            return stores.fetch(uri)

    def images() -> Iterator[tuple[ScanPublished, RgbImage]]:
        for scan in scans:
            try:
                with clock.stage(DECODING):
                    image = scan_image(scan.uri, scan.sha256, scan.page, fetch)
            except (UnavailableImage, StoreUnavailable, UnreadableImage) as error:
                left_out.append(f"{scan.scan_id}: {error}")
            else:
                yield scan, image

    with clock.stage(REST):
        return analyse_scans(engine, images())


def _cluster(settings: Settings, analysed: Sequence[ScanAnalysed], clock: StageClock) -> None:
    """Search and cluster the faces of all scans, a batch of scans after the other, as the consumers do."""
    space = space_of_settings(settings)
    is_calibrated = settings.clustering.distance == "calibrated" and space == DLIB_SPACE
    reference = builtin_reference() if is_calibrated else None
    if settings.clustering.distance == "calibrated" and not is_calibrated:
        # There is no built-in reference of another embedder; the calibrated thresholds are not of its distances.
        euclidean = ClusteringSettings(distance="euclidean", eps=space.eps, eps_max=space.eps_max)
        settings = settings.model_copy(update={"clustering": euclidean})
    index = FaceIndex(index_parameters_of(settings, reference))
    clustering = Clustering(parameters_of(settings.clustering, reference.name if reference else None, space))
    for start in range(0, len(analysed), _TOGETHER):
        batch = [Analysed(start + place, scan) for place, scan in enumerate(analysed[start : start + _TOGETHER])]
        with clock.stage(NEIGHBOURS):
            found = [record for record in index.apply(batch) if isinstance(record, NeighboursFound)]
        with clock.stage(CLUSTERING):
            clustering.apply(found)


def _devices(models: ModelSettings) -> dict[str, str]:
    """Where the networks run: everything else runs on the processor."""
    if models.engine == "dlib":
        # The wheel of dlib has no CUDA.
        return {}
    device = "gpu" if on_gpu(models.provider) else "cpu"
    return dict.fromkeys((DETECTION, EMBEDDING), device)


def _row(name: str, hits: int, clock: StageClock, device: str) -> StageRow:
    usage = clock.usage.get(name, Usage())
    theirs = thesis.STAGES.get(name, thesis.StageFigures())
    return StageRow(
        stage=name,
        of=_OF[name],
        hits=hits,
        average_ms=1000 * usage.seconds / hits if hits else None,
        total_s=usage.seconds,
        cpu_s=usage.cpu_seconds,
        grown_mib=usage.grown / 2**20,
        device=device,
        thesis_average_ms=theirs.average_ms,
        thesis_total_s=theirs.total_s,
        thesis_device=theirs.device,
    )


def _live_row(stage: str, process: str, hits: int, seconds: float, resident_mib: float | None) -> LiveRow:
    theirs = thesis.STAGES.get(CLUSTERING if stage == CLUSTER else stage, thesis.StageFigures())
    average = 1000 * seconds / hits if hits else None
    return LiveRow(stage, process, hits, average, seconds, resident_mib, theirs.average_ms, theirs.total_s)


def _print(rows: Sequence[StageRow]) -> None:
    table = _table("stage", "hits", "ms", "total s", "cpu s", "MiB", "on")
    for row in rows:
        table.add_row(
            *(f"{row.stage}, a {row.of}", f"{row.hits:,}", figure(row.average_ms, 2), figure(row.total_s, 2)),
            *(figure(row.cpu_s, 2), figure(row.grown_mib, 0), row.device),
            *(figure(row.thesis_average_ms, 1), figure(row.thesis_total_s, 1)),
        )
    console.print(table)
    print_line("ms: on average. cpu s: processor time. MiB: by how much the memory of the process grew in the stage")
    print_line(_THESIS)


def _print_live(rows: Sequence[LiveRow], json_: bool) -> None:
    if json_:
        print_rows(rows)
        return
    table = _table("stage", "hits", "ms", "total s", "MiB")
    for row in rows:
        table.add_row(
            *(row.stage, f"{row.hits:,}", figure(row.average_ms, 2), figure(row.total_s, 2)),
            *(figure(row.resident_mib, 0), figure(row.thesis_average_ms, 1), figure(row.thesis_total_s, 1)),
        )
    console.print(table)
    print_line("hits: records that the consumer has read since it began; of its stages, scans or faces")
    print_line("total s: of the stages, that of all its worker processes together. MiB: the memory of its process now")
    print_line(_THESIS)


def _table(first: str, *columns: str) -> Table:
    """A table that a terminal of 80 columns holds, with the thesis's two figures at the end."""
    thesis_columns = ("thesis\nms", "thesis\ntotal s")
    headers = [Column(Text(name), justify="right") for name in (*(f"\n{name}" for name in columns), *thesis_columns)]
    return Table(Column(Text(f"\n{first}")), *headers, box=None, padding=(0, 0, 0, 1))
