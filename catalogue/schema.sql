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
CREATE INDEX assignments_of_label ON assignments (hard_label) WHERE hard_label IS NOT NULL;

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

-- Topic `labels`: what archivists decided. `kind` is that of `schemas.decisions`; what a kind does not have is NULL.
CREATE TABLE decisions (
    decision_id        text COLLATE "C" PRIMARY KEY,
    kind               text NOT NULL,
    author             text NOT NULL,
    decided_at         timestamptz NOT NULL,
    note               text,
    face_id            text COLLATE "C",
    other_face_id      text COLLATE "C",
    label_id           text COLLATE "C",
    name               text,
    authority          text,
    undone_decision_id text COLLATE "C"
);
CREATE INDEX decisions_of_face ON decisions (face_id);
CREATE INDEX decisions_of_other_face ON decisions (other_face_id);
CREATE INDEX decisions_of_label ON decisions (label_id);
CREATE INDEX undos_of_decision ON decisions (undone_decision_id);

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

-- Whether an undo that holds and is later takes a decision back; decisions are compared by time, then id.
CREATE FUNCTION is_undone(decision text, made_at timestamptz) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM decisions u
        WHERE u.undone_decision_id = decision AND (u.decided_at, u.decision_id) > (made_at, decision)
        AND NOT is_undone(u.decision_id, u.decided_at)
    );
END $$;

-- The decisions that hold, undos among them. Of those about one face, or about one pair, the last takes effect.
CREATE VIEW holding_decisions AS
SELECT * FROM decisions WHERE NOT is_undone(decision_id, decided_at);

-- Who a face never is: the last decision about the face and this person is a rejection.
CREATE VIEW rejections AS
SELECT face_id, label_id, decision_id, author, decided_at, note
FROM (
    SELECT DISTINCT ON (face_id, label_id) * FROM holding_decisions WHERE kind IN ('named', 'name-rejected')
    ORDER BY face_id, label_id, decided_at DESC, decision_id DESC
) latest
WHERE kind = 'name-rejected';

-- The faces that a face is linked with or separated from (`kind`): each pair from both its ends.
CREATE VIEW pairs AS
SELECT DISTINCT ON (face_id, other_face_id) face_id, other_face_id, kind, decision_id, author, decided_at, note
FROM (
    SELECT face_id, other_face_id, kind, decision_id, author, decided_at, note FROM holding_decisions
    UNION ALL
    SELECT other_face_id, face_id, kind, decision_id, author, decided_at, note FROM holding_decisions
) both_ends
WHERE kind IN ('linked', 'separated')
ORDER BY face_id, other_face_id, decided_at DESC, decision_id DESC;

-- Everybody who was named, with name and authority as last said.
CREATE VIEW names AS
SELECT label_id, (array_agg(name ORDER BY decided_at DESC, decision_id DESC))[1] AS name,
       (array_agg(authority ORDER BY decided_at DESC, decision_id DESC) FILTER (WHERE authority <> ''))[1] AS authority
FROM holding_decisions WHERE kind = 'named' GROUP BY label_id;

-- The same with how many faces people named so (hard), and for how many the name is proposed (soft).
CREATE VIEW people AS
SELECT label_id, n.name, n.authority, coalesce(h.faces, 0) AS hard, coalesce(s.faces, 0) AS soft
FROM names n
LEFT JOIN (SELECT label_id, count(*) AS faces FROM face_catalogue GROUP BY label_id) h USING (label_id)
LEFT JOIN (SELECT soft_label AS label_id, count(*) AS faces FROM face_catalogue GROUP BY soft_label) s
    USING (label_id);

-- What the system proposes for faces that nobody named: a row for each name of a face's distribution.
CREATE VIEW suggestions AS
SELECT f.face_id, f.scan_id, f.cluster_id, d.label_id, coalesce(p.name, d.label_id) AS name, d.probability
FROM face_catalogue f
CROSS JOIN LATERAL jsonb_to_recordset(f.distribution) AS d(label_id text COLLATE "C", probability double precision)
LEFT JOIN names p ON p.label_id = d.label_id
WHERE f.label_id IS NULL;
