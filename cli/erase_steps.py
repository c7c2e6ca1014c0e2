"""The steps of an erasure, in their order. Each may be repeated: one that was cut off goes on by doing all again.

1. A record of it is published and kept in the data folder: from here on detect does not publish these faces.
   Where a backup was restored, so are the records that it lacks.
2. The compacted topics get tombstones, and records without what is erased.
3. The consumers read that. Neighbours, clusters, tables and snapshots lose it.
4. Topics that are not compacted are written again without it.
5. The database is written again without dead rows, and its log is deleted.
6. All compacted topics are compacted.
7. With everything stopped, files are deleted or written again, and all of the data folder is searched.

Of services elsewhere, the consumers run elsewhere too: 3 waits for them, and 7 goes through the services' interfaces.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from kafka import KafkaAdminClient

from catalogue import erasing
from catalogue.connection import connect
from cli import erase_files
from cli.common import now
from cli.erase_proof import Proof, found_in_files, search_folder
from cli.erase_waits import Waiting, detectors, with_snapshots
from cli.printing import stderr
from cli.supervisor import Supervisor
from errors import UserError
from local.services import Services
from models.stores.parameters import StoreParameters
from models.stores.roots import Roots
from producers.erasing import Eraser
from producers.erasing_logs import rewrite_logs
from producers.erasure_plan import Plan, finder_of, record_of
from schemas.erasures import ErasureState
from schemas.topics import CLUSTERS, SCANS, Topic, generation_of
from settings import Settings
from stream import clients, rolling
from stream.erasures import copied, copy, folder_of, made_digests, published
from stream.generations import known_topics, read_generations
from stream.lag import lag_reader
from stream.log_copies import Copied
from stream.records import Positions
from stream.search import found_in_topics
from stream.shards import shards_known
from stream.stages import CATALOGUE, CLUSTER, DETECT, INDEX, stages_with
from stream.topic_states import apply, topic_states

# So long compaction may take. An embedded broker compacts some ten megabytes a second.
_COMPACTED_WITHIN_S = 1800.0


class Erasing:
    """One erasure, on services that answer."""

    def __init__(self, opened: Services, settings: Settings, plan: Plan) -> None:
        """`settings`: as they were before the addresses of embedded services were added."""
        self._settings = opened.settings
        self._keeper = opened.keeper
        self._plan = plan
        self._folder = folder_of(settings)
        self.local_kafka = settings.kafka.bootstrap_servers is None
        self.local_database = settings.database.url is None
        self._generations = read_generations(self._settings.kafka)
        self._shards = shards_known(self._settings.kafka) or 1
        self._stages = stages_with(self._generations, self._shards)
        self._eraser = Eraser(self._settings.kafka, plan, made_digests(self._folder), now)
        self.finder = finder_of(plan, plan.texts)
        # The groups whose snapshots are replaced, and stay.
        self.snapshots = with_snapshots(self._stages).keys()

    def run(self) -> list[str]:
        """Steps 1 to 6. Returns what only the operators of services elsewhere can do. Raises FacestreamError."""
        kafka = self._settings.kafka
        if self._plan.what == "again":
            self._eraser.publish_again(copied(self._folder).values())
        # What consumers have done is not asked of them once more: an index may take minutes for it.
        before = published(kafka).get(self._plan.erasure_id)
        if before is None:
            self._eraser.record(ErasureState.BEGUN)
        copy(
            self._folder,
            [*published(kafka).values(), record_of(self._plan, made_digests(self._folder), ErasureState.SETTLED)],
        )
        _say("taking it out of the topics")
        sent = self._eraser.rewrite(self._analysed())
        is_new = bool(sent) or before is None or before.state is ErasureState.BEGUN
        with (
            self._consumers(with_detect=bool(_of_scans(sent))) as check,
            Waiting(self._settings, self._plan, self._generations, self._stages, local=self.local_kafka) as waiting,
        ):
            while True:
                if is_new:
                    self._eraser.record(ErasureState.REWRITTEN)
                is_done = waiting.wait(check, _of_scans(sent))
                # What others had under way when the erasure began may have been published since.
                more = self._eraser.rewrite(self._analysed())
                if is_done and not more:
                    break
                sent, is_new = {**sent, **more}, True
            logs = rewrite_logs(kafka, self._plan, now)
            if is_new or before is None or before.state is not ErasureState.SETTLED:
                self._eraser.record(ErasureState.SETTLED)
            waiting.wait(check, _of_scans(sent), settled=True)
        _say("writing the tables again")
        left = self._rewrite_tables(logs)
        _say("compacting the topics")
        self._compact()
        return [f"the operator of the database has to {one}" for one in left]

    def prove_elsewhere(self, proof: Proof) -> None:
        """Search what runs elsewhere, through its interfaces."""
        kafka = self._settings.kafka
        if not self.local_kafka:
            topics = self._topics()
            found, proof.tombstones = found_in_topics(kafka, topics, self.finder)
            proof.topics = len(topics)
            for name, count in found.items():
                proof.note(f"topic {name}", Counter({"record": count}))
            proof.elsewhere += [
                "the disks and backups of the brokers: segments are deleted there after file.delete.delay.ms",
                "the folders of data of the other machines: snapshots, pictures and logs of their consumers and desks",
            ]
            if proof.tombstones:
                proof.elsewhere.append(
                    f"{proof.tombstones} tombstones have ids in their keys, so that whoever was away learns of it: "
                    "they are gone when delete.retention.ms has passed"
                )
        if not self.local_database:
            with connect(self._settings.database) as connection:
                found_in = erasing.found_in_tables(connection, self.finder)
            proof.tables = len(found_in)
            for table, kinds in found_in.items():
                proof.note(f"table {table}", kinds)
            proof.elsewhere.append("the disks, write-ahead log, replicas and backups of the database")

    def _topics(self) -> list[Topic]:
        with closing(clients.admin(self._settings.kafka)) as admin:
            return known_topics(self._settings.kafka, admin)

    def _analysed(self) -> Positions:
        """Up to where everybody who finds faces has read `scans`."""
        with lag_reader(self._settings.kafka) as lags:
            positions = [lags.positions(name) for name in detectors(self._stages)]
        return {place: min(one.get(place, 0) for one in positions) for place in positions[0]}

    @contextmanager
    def _consumers(self, *, with_detect: bool) -> Iterator[Callable[[], bool]]:
        """Run the consumers, where no others can: the broker is this command's own. Yields whether they have begun."""
        if not self.local_kafka:
            _say("waiting for the consumers, which run elsewhere")
            yield lambda: True
            return
        names = (*([DETECT] if with_detect else []), INDEX, CLUSTER, CATALOGUE)
        _say("the consumers take it out of clusters and tables")
        with Supervisor(self._settings, self._keeper, self._generations, names, self._shards) as supervisor:

            def check() -> bool:
                supervisor.check()
                if supervisor.given_up:
                    raise UserError(
                        f"{', '.join(sorted(supervisor.given_up))} ended again and again, and has to take part: see "
                        f"the logs in {self._settings.data / 'logs'}; facestream erase goes on"
                    )
                return not supervisor.starting

            yield check

    def _rewrite_tables(self, logs: Mapping[str, Copied]) -> list[str]:
        """Step 5. Returns what only the operator of the database can do."""
        # Changes of clusters are there twice, as they were and as they were copied.
        copies = [
            (generation, one.had_from, one.copies_from)
            for name, one in logs.items()
            for base, generation in [generation_of(name)]
            if base == CLUSTERS.name
        ]
        texts = {*self._plan.scan_ids, *self._plan.face_ids, *self._plan.decision_ids}
        with connect(self._settings.database) as connection:
            erasing.delete_rows(connection, copies, self._plan.face_ids, texts)
            return erasing.vacuum(connection)

    def _compact(self) -> None:
        kafka, topics = self._settings.kafka, self._topics()
        data = self._settings.data

        def left() -> list[Topic]:
            if self.local_kafka:
                return [topic for topic in topics if found_in_files(_partitions(data, topic), self.finder)]
            found, _ = found_in_topics(kafka, topics, self.finder)
            return [topic for topic in topics if topic.name in found]

        with rolling.at_once(kafka, topics, tombstones=self.local_kafka):
            is_compacted = rolling.roll_until(kafka, left, _COMPACTED_WITHIN_S)
            names = [] if is_compacted else [topic.name for topic in left()]
        with closing(clients.admin(kafka)) as admin:
            _configure(admin, topics, kafka.erased_within_h)
        if names:
            raise UserError(
                f"within {_COMPACTED_WITHIN_S:.0f} s the broker has not compacted {', '.join(names)}: facestream erase "
                "goes on; what nobody here can read stays until somebody publishes a tombstone for its key"
            )


def _of_scans(sent: Positions) -> Positions:
    return {(name, number): end for (name, number), end in sent.items() if name == SCANS.name}


def record_again(running: Settings, plan: Plan) -> None:
    """Publish the records that the topic lacks, where nothing of what they are about is there again."""
    folder = folder_of(running)
    Eraser(running.kafka, plan, made_digests(folder), now).publish_again(copied(folder).values())


def carried_out(opened: Services, settings: Settings, plan: Plan) -> tuple[Erasing, Proof]:
    """Steps 1 to 6, and a proof of what runs elsewhere. Raises FacestreamError."""
    erase_files.begin(folder_of(settings), plan)
    erasing_ = Erasing(opened, settings, plan)
    proof = Proof(elsewhere=erasing_.run())
    erasing_.prove_elsewhere(proof)
    return erasing_, proof


def finish(settings: Settings, plan: Plan, erasing_: Erasing, proof: Proof) -> None:
    """Step 7, for services that have stopped."""
    _say("searching the data folder")
    erase_files.clean_views(settings.data, plan)
    if erasing_.local_kafka:
        erase_files.clean_snapshots(settings.data / "snapshots", erasing_.snapshots)
    if erasing_.local_kafka or erasing_.local_database:
        erase_files.clean_logs(settings.data, erasing_.finder)
    folder = folder_of(settings)
    # The archive's own files, with the names that it has given them, may lie in the data folder, as the sample does.
    own = [root for root in (settings.data / "sample", *_roots(settings)) if root != settings.data and root.is_dir()]
    # What says what is searched for is deleted when nothing is found.
    but = [erase_files.under_way_file(folder), *own]
    search_folder(settings.data, erasing_.finder, plan.embeddings, but, proof)
    proof.elsewhere += [
        "backups of the data folder, and blocks of the disk that deleted files have left: see docs/privacy.md",
        "whoever has subscribed to the topics: see docs/privacy.md",
    ]


def _partitions(data: Path, topic: Topic) -> list[Path]:
    """The folders of the partitions of a topic of the embedded broker."""
    folders = (data / "kafka" / "log").glob(f"{topic.name}-*")
    return [folder for folder in folders if folder.name.rpartition("-")[0] == topic.name]


def _roots(settings: Settings) -> list[Path]:
    """The folders of scans that are inside of the data folder, as paths below that."""
    data = settings.data.resolve()
    parameters = StoreParameters.of(settings.stores.model_dump(), settings.data)
    roots = Roots(parameters.roots, parameters.roots_file).known()
    return [settings.data / root.relative_to(data) for root in roots if root.is_relative_to(data)]


def _configure(admin: KafkaAdminClient, topics: list[Topic], erased_within_h: float) -> None:
    """As promised, whatever an erasure that was cut off has left."""
    apply(admin, topic_states(admin, topics, erased_within_h))


def _say(line: str) -> None:
    stderr.print(line, soft_wrap=True)
