-- The catalogue's tables as they are now. catalogue/schema.py runs this file once in an empty database, with the length
-- of an embedding in place of {embedding_dimensions}. A change needs a migration from the version before too: see there.
-- Totals and views are in totals_tables.sql, totals.sql and views.sql.
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

-- Topic `scans`: the faces whose ids a scan's next analysis keeps, with the picture on which each was last found. One
-- index is by hash, since an id of any length fits it.
CREATE TABLE kept_faces (
    scan_id text COLLATE "C" NOT NULL,
    face_id text COLLATE "C" NOT NULL,
    sha256  text,
    page    integer
);
CREATE INDEX kept_faces_of_scan ON kept_faces (scan_id);
CREATE INDEX kept_faces_by_id ON kept_faces USING hash (face_id);

-- Topic `faces`: the live analysis of each scan; `analysis` is its offset in the topic. Width and height are in pixels.
-- `analysed_at` is when it was made, NULL where its record does not say: a dead letter of a scan that was analysed after
-- it is resolved.
CREATE TABLE analyses (
    scan_id     text COLLATE "C" PRIMARY KEY,
    analysis    bigint NOT NULL,
    sha256      text NOT NULL,
    width       integer NOT NULL,
    height      integer NOT NULL,
    provenance  jsonb NOT NULL,
    analysed_at timestamptz
);

-- Topic `faces`: the faces of the live analyses. Boxes and landmarks are relative to the scan (0 to 1), `size_px` is in
-- pixels of the scan. `turn` and `negative` are how a face lies on its scan, see `schemas.faces.Face`. Embeddings are
-- compared by Euclidean distance, with the index of vector_index.sql; those of another embedder than that of
-- `catalogue_embedder` are NULL.
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
    embedding  vector({embedding_dimensions}),
    turn       integer NOT NULL DEFAULT 0,
    negative   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (face_id, scan_id)
);
CREATE INDEX faces_of_scan ON faces (scan_id);

-- Generations: clusterings with parameters of their own, one of which is live. What comes from topics of generations is
-- in tables `all_…` with a column `generation`; views that are called as these tables without `all_` show the live one
-- (views.sql). So one row says what every query sees: that of `live_generation`.

-- Topic `generations`: each generation with its parameters and how far it is.
CREATE TABLE generations (
    generation text COLLATE "C" PRIMARY KEY,
    parameters jsonb NOT NULL,
    state      text NOT NULL,
    changed_at timestamptz NOT NULL,
    since      bigint NOT NULL
);

-- Topic `generations`: which one is live, by the record `live`; `former` is what a rollback makes live again. One row.
CREATE TABLE live_generation (
    generation text COLLATE "C" NOT NULL,
    former     text COLLATE "C",
    is_only    boolean PRIMARY KEY DEFAULT true CHECK (is_only)
);
INSERT INTO live_generation (generation) VALUES ('blue');

-- Topic `assignments`: the cluster, role and labels of each face. Noise has no cluster. `probability` is that of the
-- soft label, `distribution` has the most probable labels with theirs.
CREATE TABLE all_assignments (
    face_id      text COLLATE "C" NOT NULL,
    scan_id      text COLLATE "C" NOT NULL,
    analysis     bigint NOT NULL,
    cluster_id   text COLLATE "C",
    role         text NOT NULL,
    hard_label   text COLLATE "C",
    soft_label   text COLLATE "C",
    probability  double precision,
    distribution jsonb NOT NULL,
    generation   text COLLATE "C" NOT NULL DEFAULT 'blue',
    PRIMARY KEY (face_id, generation)
);
CREATE INDEX assignments_of_cluster ON all_assignments (cluster_id, generation, face_id);
CREATE INDEX assignments_of_label ON all_assignments (generation, hard_label, scan_id, face_id)
WHERE hard_label IS NOT NULL;
CREATE INDEX noise ON all_assignments (generation, scan_id, face_id) WHERE role = 'noise';

-- Topic `clusters`: the change log of clusters. `successor` is the cluster that continues one that was merged or
-- retired, `parts` are the clusters that one was split into.
CREATE TABLE all_cluster_changes (
    partition  integer NOT NULL,
    "offset"   bigint NOT NULL,
    cluster_id text COLLATE "C" NOT NULL,
    change     text NOT NULL,
    size       bigint NOT NULL,
    successor  text COLLATE "C",
    parts      text[] NOT NULL,
    generation text COLLATE "C" NOT NULL DEFAULT 'blue',
    PRIMARY KEY (partition, "offset", generation)
);
CREATE INDEX changes_of_cluster ON all_cluster_changes (cluster_id, generation, "offset" DESC);

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
-- them would cost more the larger the archive is, and progress is shown twice a second. Those of clusters, noise and named
-- faces are of one generation; the others are of all, and have none.
CREATE TABLE row_counts (
    name       text NOT NULL,
    number     bigint NOT NULL,
    generation text COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (generation, name)
);

-- The offset to read next in each partition, committed in one transaction with the rows; beside it the id that Kafka gave
-- the topic and the leader epoch of the last record that was read: an offset means nothing in another topic of the same
-- name, or in one that has lost records. NULL where they are unknown.
CREATE TABLE offsets (
    consumer     text NOT NULL,
    topic        text NOT NULL,
    partition    integer NOT NULL,
    next_offset  bigint NOT NULL,
    topic_id     text,
    leader_epoch integer,
    PRIMARY KEY (consumer, topic, partition)
);

-- The embedder whose embeddings `faces` has, one row (catalogue/embedder.py).
CREATE TABLE catalogue_embedder (
    embedder  text NOT NULL,
    dimension integer NOT NULL
);
INSERT INTO catalogue_embedder VALUES ('{dlib_embedder}', {embedding_dimensions});
