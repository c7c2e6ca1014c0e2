-- The catalogue's tables. Each is written from one topic alone and refers to no other table, because topics are read
-- independently: what stands in a table is a function of its topic, whatever came first. The views join them.
-- Ids compare by their bytes (COLLATE "C"): one order everywhere, and a prefix of an id is found by its index.

CREATE TABLE catalogue_version (
    version integer NOT NULL
);

-- Topic `scans`: what was published.
CREATE TABLE scans (
    scan_id      text COLLATE "C" PRIMARY KEY,
    uri          text NOT NULL,
    sha256       text NOT NULL,
    media_type   text NOT NULL,
    collection   text NOT NULL,
    page         integer,
    metadata     jsonb NOT NULL,
    published_at timestamptz NOT NULL
);

-- Topic `faces`: the live analysis of a scan, numbered by its offset. Width and height are in pixels.
CREATE TABLE analyses (
    scan_id    text COLLATE "C" PRIMARY KEY,
    analysis   bigint NOT NULL,
    sha256     text NOT NULL,
    width      integer NOT NULL,
    height     integer NOT NULL,
    provenance jsonb NOT NULL
);

-- Topic `faces`: the faces of that analysis. Boxes and landmarks are relative to the scan, size_px is in its pixels.
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
    embedding  vector(128) NOT NULL,
    PRIMARY KEY (face_id, scan_id)
);
CREATE INDEX faces_of_scan ON faces (scan_id);
-- Half of pgvector's default links and effort, so that insertion keeps up with the feed; the reader makes up for it by
-- looking at more candidates (benchmarks/catalogue.py measures speed and recall).
CREATE INDEX faces_near ON faces USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 32);

-- Topic `assignments`: where a face belongs. Noise has no cluster. `probability` is that of the soft label.
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
CREATE INDEX assignments_of_cluster ON assignments (cluster_id);

-- Topic `clusters`: the change log. `successor` is the id that goes on where this one gives way.
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

-- Topic `dead-letters`: which record was given up, by which consumer, why. The bytes stay in the topic.
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

-- The next record to read of each partition, committed together with the rows.
CREATE TABLE offsets (
    consumer    text NOT NULL,
    topic       text NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (consumer, topic, partition)
);

-- What readers look at: each face of a published scan, and where it belongs as far as that is known.
-- label_id is what a person decided, soft_label what the system proposes.
CREATE VIEW face_catalogue AS
SELECT f.face_id, f.scan_id, s.uri, s.page, s.collection, f.analysis,
       f.box_left, f.box_top, f.box_right, f.box_bottom, f.score, f.size_px, f.sharpness,
       a.cluster_id, a.role, a.hard_label AS label_id, a.soft_label, a.probability, a.distribution
FROM faces f
JOIN scans s ON s.scan_id = f.scan_id
LEFT JOIN assignments a ON a.face_id = f.face_id AND a.scan_id = f.scan_id;

-- The id under which a cluster goes on: itself while it lives, the end of its redirects when it gave way, and NULL when
-- it is gone or was never heard of. An id that came back to life is itself again.
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
