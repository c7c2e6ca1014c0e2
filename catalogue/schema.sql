-- The catalogue's tables and views. catalogue/schema.py runs this file once in an empty database, with the length of an
-- embedding in place of {embedding_dimensions}; after a change, raise VERSION there.
-- Each table is written from one topic and has no foreign keys, because topics are read independently: the rows of a
-- table are a function of its topic, whichever topic was read first. The views join the tables.
-- Ids are compared by their bytes (COLLATE "C"): the order does not depend on the locale, and a LIKE with a prefix uses
-- the index.

CREATE TABLE catalogue_version (
    version integer NOT NULL
);

-- Topic `scans`: the published scans. `years` are the words of four digits in the values of their metadata.
CREATE TABLE scans (
    scan_id      text COLLATE "C" PRIMARY KEY,
    uri          text NOT NULL,
    sha256       text NOT NULL,
    media_type   text NOT NULL,
    collection   text NOT NULL,
    page         integer,
    metadata     jsonb NOT NULL,
    published_at timestamptz NOT NULL,
    years        text[] NOT NULL
);
CREATE INDEX scans_of_collection ON scans (collection, scan_id);
CREATE INDEX scans_of_year ON scans USING gin (years);
-- Parts of ids are found by their sequences of three characters, as those of pg_trgm, which not every server has.
CREATE FUNCTION trigrams(whole text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT substr(whole, start, 3)), '{}') FROM generate_series(1, length(whole) - 2) start
$$;
CREATE INDEX scans_by_trigram ON scans USING gin (trigrams(lower(scan_id)));

-- Topic `faces`: the live analysis of each scan; `analysis` is its offset in the topic. Width and height are in pixels.
CREATE TABLE analyses (
    scan_id    text COLLATE "C" PRIMARY KEY,
    analysis   bigint NOT NULL,
    sha256     text NOT NULL,
    width      integer NOT NULL,
    height     integer NOT NULL,
    provenance jsonb NOT NULL
);

-- Topic `faces`: the faces of the live analyses. Boxes and landmarks are relative to the scan (0 to 1), `size_px` is in
-- pixels of the scan. Embeddings are compared by Euclidean distance.
CREATE TABLE faces (
    face_id    text COLLATE "C" NOT NULL,
    scan_id    text COLLATE "C" NOT NULL,
    analysis   bigint NOT NULL,
    box_left   double precision NOT NULL,
    box_top    double precision NOT NULL,
    box_right  double precision NOT NULL,
    box_bottom double precision NOT NULL,
    landmarks  jsonb NOT NULL,
    score      double precision NOT NULL,
    size_px    double precision NOT NULL,
    sharpness  double precision NOT NULL,
    embedding  vector({embedding_dimensions}) NOT NULL,
    PRIMARY KEY (face_id, scan_id)
);
CREATE INDEX faces_of_scan ON faces (scan_id);
-- Half of pgvector's default links and candidates, so that insertion keeps up with the feed. The reader compensates
-- with more candidates per search (benchmarks/catalogue.py measures speed and recall).
CREATE INDEX faces_near ON faces USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 32);

-- Topic `assignments`: the cluster, role and labels of each face. Noise has no cluster. `probability` is that of the
-- soft label, `distribution` has the most probable labels with theirs.
CREATE TABLE assignments (
    face_id      text COLLATE "C" PRIMARY KEY,
    scan_id      text COLLATE "C" NOT NULL,
    analysis     bigint NOT NULL,
    cluster_id   text COLLATE "C",
    role         text NOT NULL,
    hard_label   text COLLATE "C",
    soft_label   text COLLATE "C",
    probability  double precision,
    distribution jsonb NOT NULL
);
CREATE INDEX assignments_of_cluster ON assignments (cluster_id, face_id);
CREATE INDEX assignments_of_label ON assignments (hard_label, scan_id, face_id) WHERE hard_label IS NOT NULL;
CREATE INDEX noise ON assignments (scan_id, face_id) WHERE role = 'noise';

-- Topic `clusters`: the change log of clusters. `successor` is the cluster that continues one that was merged or
-- retired, `parts` are the clusters that one was split into.
CREATE TABLE cluster_changes (
    partition  integer NOT NULL,
    "offset"   bigint NOT NULL,
    cluster_id text COLLATE "C" NOT NULL,
    change     text NOT NULL,
    size       bigint NOT NULL,
    successor  text COLLATE "C",
    parts      text[] NOT NULL,
    PRIMARY KEY (partition, "offset")
);
CREATE INDEX changes_of_cluster ON cluster_changes (cluster_id, "offset" DESC);

-- Topic `labels`: the decisions of archivists. `kind` is that of `schemas.decisions`; columns that a kind lacks are
-- NULL.
CREATE TABLE decisions (
    decision_id        text COLLATE "C" PRIMARY KEY,
    kind               text NOT NULL,
    author             text NOT NULL,
    decided_at         timestamptz NOT NULL,
    note               text,
    face_id            text COLLATE "C",
    other_face_id      text COLLATE "C",
    label_id           text COLLATE "C",
    other_label_id     text COLLATE "C",
    name               text,
    authority          text,
    undone_decision_id text COLLATE "C",
    until              timestamptz
);
CREATE INDEX decisions_of_face ON decisions (face_id);
CREATE INDEX decisions_of_other_face ON decisions (other_face_id);
CREATE INDEX decisions_of_label ON decisions (label_id);
CREATE INDEX undos_of_decision ON decisions (undone_decision_id);
CREATE INDEX decisions_by_time ON decisions (decided_at, decision_id);
CREATE INDEX merges ON decisions (label_id, other_label_id) WHERE kind = 'merged';
CREATE INDEX faces_that_are_none ON decisions (face_id) WHERE kind = 'not-a-face';
CREATE INDEX faces_of_which_nobody_is_sure ON decisions (face_id) WHERE kind = 'not-sure';

-- Topic `labels`: each label id that a decision is about, with the person that it stands for, by the rules of
-- decisions/identities.py: itself or the one that it was merged into, and the name and authority of that person, NULL
-- where there is nobody (any more). What was decided about it up to `removed_at`, `removed_by` does not count.
CREATE TABLE known_labels (
    label_id   text COLLATE "C" PRIMARY KEY,
    person_id  text COLLATE "C" NOT NULL,
    name       text,
    authority  text,
    removed_at timestamptz,
    removed_by text COLLATE "C"
);
CREATE INDEX labels_of_person ON known_labels (person_id);

-- Topic `dead-letters`: which record could not be used, by which consumer, and why; also the records that this consumer
-- refused. The bytes of the record are only in the topic.
CREATE TABLE dead_letters (
    topic     text NOT NULL,
    partition integer NOT NULL,
    "offset"  bigint NOT NULL,
    consumer  text NOT NULL,
    key       text,
    reason    text NOT NULL,
    "time"    timestamptz NOT NULL,
    PRIMARY KEY (topic, partition, "offset", consumer)
);

-- The dead letters of a scan. By hash, since a key of any length fits it.
CREATE INDEX dead_letters_of_key ON dead_letters USING hash (key);

-- How many rows of each sort there are (catalogue/counts.py), changed in the transaction that changes the rows: to count
-- them would cost more the larger the archive is, and progress is shown twice a second.
CREATE TABLE row_counts (
    name   text PRIMARY KEY,
    number bigint NOT NULL
);

-- The offset to read next in each partition, committed in one transaction with the rows.
CREATE TABLE offsets (
    consumer    text NOT NULL,
    topic       text NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (consumer, topic, partition)
);

-- The faces of published scans with their assignment; its columns are NULL until the face has been clustered.
-- `label_id` is the hard label (decided), `soft_label` the suggested one.
CREATE VIEW face_catalogue AS
SELECT f.face_id, f.scan_id, s.uri, s.page, s.collection, f.analysis,
       f.box_left, f.box_top, f.box_right, f.box_bottom, f.score, f.size_px, f.sharpness,
       a.cluster_id, a.role, a.hard_label AS label_id, a.soft_label, a.probability, a.distribution
FROM faces f
JOIN scans s ON s.scan_id = f.scan_id
LEFT JOIN assignments a ON a.face_id = f.face_id AND a.scan_id = f.scan_id;

-- The cluster that continues a cluster: itself while it exists, the end of its redirects once it was superseded, and
-- NULL when it was removed or is unknown. An id that was superseded and is in use again yields itself.
CREATE FUNCTION current_cluster(wanted text) RETURNS text LANGUAGE sql STABLE AS $$
    WITH RECURSIVE path(cluster_id, successor, change) AS (
        (SELECT c.cluster_id, c.successor, c.change FROM cluster_changes c
         WHERE c.cluster_id = wanted ORDER BY c."offset" DESC LIMIT 1)
        UNION
        SELECT c.cluster_id, c.successor, c.change FROM path, LATERAL (
            SELECT l.cluster_id, l.successor, l.change FROM cluster_changes l
            WHERE l.cluster_id = path.successor ORDER BY l."offset" DESC LIMIT 1) c
    )
    SELECT cluster_id FROM path WHERE successor IS NULL AND change <> 'retired'
$$;

-- Whether a decision has an undo that holds and is later. Decisions are compared by time, then id, as in
-- decisions/holding.py.
CREATE FUNCTION is_undone(decision text, made_at timestamptz) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM decisions u
        WHERE u.undone_decision_id = decision AND (u.decided_at, u.decision_id) > (made_at, decision)
        AND NOT is_undone(u.decision_id, u.decided_at)
    );
END $$;

-- The decisions that hold, undos included. Of those about one face or one pair, the latest takes effect. The function is
-- called for decisions with an undo alone, which are few.
CREATE VIEW holding_decisions AS
SELECT d.* FROM decisions d
WHERE NOT EXISTS (SELECT FROM decisions u WHERE u.undone_decision_id = d.decision_id)
OR NOT is_undone(d.decision_id, d.decided_at);

-- The decisions that hold about one face and one person (`label_id`), without those that a removal of the person ended.
CREATE VIEW decisions_about_persons AS
SELECT d.decision_id, d.kind, d.author, d.decided_at, d.note, d.face_id, l.person_id AS label_id, d.until
FROM holding_decisions d JOIN known_labels l ON l.label_id = d.label_id
WHERE d.kind IN ('named', 'name-rejected', 'not-sure')
AND (l.removed_at IS NULL OR (d.decided_at, d.decision_id) > (l.removed_at, l.removed_by));

-- The rejected labels of each face: the latest naming or rejection of the face and this label is a rejection.
CREATE VIEW rejections AS
SELECT face_id, label_id, decision_id, author, decided_at, note
FROM (
    SELECT DISTINCT ON (face_id, label_id) * FROM decisions_about_persons WHERE kind IN ('named', 'name-rejected')
    ORDER BY face_id, label_id, decided_at DESC, decision_id DESC
) latest
WHERE kind = 'name-rejected';

-- The faces that are not proposed for a person now, because somebody was not sure and nobody has decided it since.
CREATE VIEW unsure AS
SELECT DISTINCT ON (n.face_id, n.label_id) n.face_id, n.label_id, n.until, n.decision_id, n.author, n.decided_at, n.note
FROM decisions_about_persons n
WHERE n.kind = 'not-sure' AND n.until > now() AND NOT EXISTS (
    SELECT FROM decisions_about_persons o
    WHERE o.face_id = n.face_id AND o.label_id = n.label_id AND o.kind <> 'not-sure'
    AND (o.decided_at, o.decision_id) > (n.decided_at, n.decision_id)
)
ORDER BY n.face_id, n.label_id, n.until DESC, n.decision_id;

-- The faces that are none: nobody has named them since. They have no assignment.
CREATE VIEW not_faces AS
SELECT DISTINCT ON (n.face_id) n.face_id, n.decision_id, n.author, n.decided_at, n.note
FROM holding_decisions n
WHERE n.kind = 'not-a-face' AND NOT EXISTS (
    SELECT FROM holding_decisions o
    WHERE o.face_id = n.face_id AND o.kind = 'named'
    AND (o.decided_at, o.decision_id) > (n.decided_at, n.decision_id)
)
ORDER BY n.face_id, n.decided_at DESC, n.decision_id DESC;

-- The faces that a face is linked with or separated from (`kind`). Each pair has two rows, one for each face.
CREATE VIEW pairs AS
SELECT DISTINCT ON (face_id, other_face_id) face_id, other_face_id, kind, decision_id, author, decided_at, note
FROM (
    SELECT face_id, other_face_id, kind, decision_id, author, decided_at, note FROM holding_decisions
    UNION ALL
    SELECT other_face_id, face_id, kind, decision_id, author, decided_at, note FROM holding_decisions
) both_ends
WHERE kind IN ('linked', 'separated')
ORDER BY face_id, other_face_id, decided_at DESC, decision_id DESC;

-- The names that label ids stand for. Those that were merged have the name of the person.
CREATE VIEW names AS
SELECT label_id, person_id, name, authority FROM known_labels WHERE name IS NOT NULL;

-- The people, with the number of faces that have the label as hard and as soft label.
CREATE VIEW people AS
SELECT label_id, n.name, n.authority, coalesce(h.faces, 0) AS hard, coalesce(s.faces, 0) AS soft
FROM names n
LEFT JOIN (SELECT label_id, count(*) AS faces FROM face_catalogue GROUP BY label_id) h USING (label_id)
LEFT JOIN (SELECT soft_label AS label_id, count(*) AS faces FROM face_catalogue GROUP BY soft_label) s
    USING (label_id)
WHERE label_id = n.person_id;

-- The suggestions for faces without a hard label: one row for each label of a face's distribution.
CREATE VIEW suggestions AS
SELECT f.face_id, f.scan_id, f.cluster_id, d.label_id, coalesce(p.name, d.label_id) AS name, d.probability
FROM face_catalogue f
CROSS JOIN LATERAL jsonb_to_recordset(f.distribution) AS d(label_id text COLLATE "C", probability double precision)
LEFT JOIN names p ON p.label_id = d.label_id
WHERE f.label_id IS NULL;
