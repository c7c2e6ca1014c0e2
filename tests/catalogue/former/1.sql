CREATE EXTENSION vector;
CREATE TABLE catalogue_version (
    version integer NOT NULL
);
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
CREATE TABLE analyses (
    scan_id    text COLLATE "C" PRIMARY KEY,
    analysis   bigint NOT NULL,
    sha256     text NOT NULL,
    width      integer NOT NULL,
    height     integer NOT NULL,
    provenance jsonb NOT NULL
);
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
CREATE INDEX faces_near ON faces USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 32);
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
CREATE TABLE offsets (
    consumer    text NOT NULL,
    topic       text NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (consumer, topic, partition)
);
CREATE VIEW face_catalogue AS
SELECT f.face_id, f.scan_id, s.uri, s.page, s.collection, f.analysis,
       f.box_left, f.box_top, f.box_right, f.box_bottom, f.score, f.size_px, f.sharpness,
       a.cluster_id, a.role, a.hard_label AS label_id, a.soft_label, a.probability, a.distribution
FROM faces f
JOIN scans s ON s.scan_id = f.scan_id
LEFT JOIN assignments a ON a.face_id = f.face_id AND a.scan_id = f.scan_id;
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
INSERT INTO catalogue_version VALUES (1);
