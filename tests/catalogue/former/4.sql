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
    published_at timestamptz NOT NULL,
    years        text[] NOT NULL
);
CREATE INDEX scans_of_collection ON scans (collection, scan_id);
CREATE INDEX scans_of_year ON scans USING gin (years);
CREATE FUNCTION trigrams(whole text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT substr(whole, start, 3)), '{}') FROM generate_series(1, length(whole) - 2) start
$$;
CREATE INDEX scans_by_trigram ON scans USING gin (trigrams(lower(scan_id)));
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
CREATE INDEX assignments_of_cluster ON assignments (cluster_id, face_id);
CREATE INDEX assignments_of_label ON assignments (hard_label, scan_id, face_id) WHERE hard_label IS NOT NULL;
CREATE INDEX noise ON assignments (scan_id, face_id) WHERE role = 'noise';
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
CREATE TABLE known_labels (
    label_id   text COLLATE "C" PRIMARY KEY,
    person_id  text COLLATE "C" NOT NULL,
    name       text,
    authority  text,
    removed_at timestamptz,
    removed_by text COLLATE "C"
);
CREATE INDEX labels_of_person ON known_labels (person_id);
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
CREATE INDEX dead_letters_of_key ON dead_letters USING hash (key);
CREATE TABLE row_counts (
    name   text PRIMARY KEY,
    number bigint NOT NULL
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
CREATE FUNCTION is_undone(decision text, made_at timestamptz) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM decisions u
        WHERE u.undone_decision_id = decision AND (u.decided_at, u.decision_id) > (made_at, decision)
        AND NOT is_undone(u.decision_id, u.decided_at)
    );
END $$;
CREATE VIEW holding_decisions AS
SELECT d.* FROM decisions d
WHERE NOT EXISTS (SELECT FROM decisions u WHERE u.undone_decision_id = d.decision_id)
OR NOT is_undone(d.decision_id, d.decided_at);
CREATE VIEW decisions_about_persons AS
SELECT d.decision_id, d.kind, d.author, d.decided_at, d.note, d.face_id, l.person_id AS label_id, d.until
FROM holding_decisions d JOIN known_labels l ON l.label_id = d.label_id
WHERE d.kind IN ('named', 'name-rejected', 'not-sure')
AND (l.removed_at IS NULL OR (d.decided_at, d.decision_id) > (l.removed_at, l.removed_by));
CREATE VIEW rejections AS
SELECT face_id, label_id, decision_id, author, decided_at, note
FROM (
    SELECT DISTINCT ON (face_id, label_id) * FROM decisions_about_persons WHERE kind IN ('named', 'name-rejected')
    ORDER BY face_id, label_id, decided_at DESC, decision_id DESC
) latest
WHERE kind = 'name-rejected';
CREATE VIEW unsure AS
SELECT DISTINCT ON (n.face_id, n.label_id) n.face_id, n.label_id, n.until, n.decision_id, n.author, n.decided_at, n.note
FROM decisions_about_persons n
WHERE n.kind = 'not-sure' AND n.until > now() AND NOT EXISTS (
    SELECT FROM decisions_about_persons o
    WHERE o.face_id = n.face_id AND o.label_id = n.label_id AND o.kind <> 'not-sure'
    AND (o.decided_at, o.decision_id) > (n.decided_at, n.decision_id)
)
ORDER BY n.face_id, n.label_id, n.until DESC, n.decision_id;
CREATE VIEW not_faces AS
SELECT DISTINCT ON (n.face_id) n.face_id, n.decision_id, n.author, n.decided_at, n.note
FROM holding_decisions n
WHERE n.kind = 'not-a-face' AND NOT EXISTS (
    SELECT FROM holding_decisions o
    WHERE o.face_id = n.face_id AND o.kind = 'named'
    AND (o.decided_at, o.decision_id) > (n.decided_at, n.decision_id)
)
ORDER BY n.face_id, n.decided_at DESC, n.decision_id DESC;
CREATE VIEW pairs AS
SELECT DISTINCT ON (face_id, other_face_id) face_id, other_face_id, kind, decision_id, author, decided_at, note
FROM (
    SELECT face_id, other_face_id, kind, decision_id, author, decided_at, note FROM holding_decisions
    UNION ALL
    SELECT other_face_id, face_id, kind, decision_id, author, decided_at, note FROM holding_decisions
) both_ends
WHERE kind IN ('linked', 'separated')
ORDER BY face_id, other_face_id, decided_at DESC, decision_id DESC;
CREATE VIEW names AS
SELECT label_id, person_id, name, authority FROM known_labels WHERE name IS NOT NULL;
CREATE VIEW people AS
SELECT label_id, n.name, n.authority, coalesce(h.faces, 0) AS hard, coalesce(s.faces, 0) AS soft
FROM names n
LEFT JOIN (SELECT label_id, count(*) AS faces FROM face_catalogue GROUP BY label_id) h USING (label_id)
LEFT JOIN (SELECT soft_label AS label_id, count(*) AS faces FROM face_catalogue GROUP BY soft_label) s
    USING (label_id)
WHERE label_id = n.person_id;
CREATE VIEW suggestions AS
SELECT f.face_id, f.scan_id, f.cluster_id, d.label_id, coalesce(p.name, d.label_id) AS name, d.probability
FROM face_catalogue f
CROSS JOIN LATERAL jsonb_to_recordset(f.distribution) AS d(label_id text COLLATE "C", probability double precision)
LEFT JOIN names p ON p.label_id = d.label_id
WHERE f.label_id IS NULL;
CREATE TABLE cluster_totals (
    cluster_id  text COLLATE "C" PRIMARY KEY,
    size        bigint NOT NULL,
    named       bigint NOT NULL,
    unsettled   bigint NOT NULL,
    uncertainty numeric NOT NULL,
    digest      numeric NOT NULL
);
CREATE INDEX clusters_by_uncertainty ON cluster_totals (uncertainty DESC, cluster_id);
CREATE TABLE cluster_labels (
    cluster_id text COLLATE "C",
    label_id   text COLLATE "C",
    faces      bigint NOT NULL,
    PRIMARY KEY (cluster_id, label_id)
);
CREATE TABLE label_totals (
    label_id text COLLATE "C" PRIMARY KEY,
    hard     bigint NOT NULL,
    soft     bigint NOT NULL
);
CREATE FUNCTION uncertainty_of(hard_label text, probability double precision) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN hard_label IS NULL AND coalesce(probability, 0) < 0.95
                THEN 1 - coalesce(probability, 0)::numeric ELSE 0 END
$$;
CREATE FUNCTION add_up_assignments() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign CONSTANT integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM cluster_totals;
        DELETE FROM label_totals;
        DELETE FROM cluster_labels;
        RETURN NULL;
    END IF;
    INSERT INTO cluster_totals AS t
    SELECT cluster_id, sign * count(*), sign * count(hard_label), sign * count(*) FILTER (WHERE uncertainty > 0),
           sign * sum(uncertainty), sign * sum(hashtextextended(face_id, 0)::numeric)
    FROM (SELECT *, uncertainty_of(hard_label, probability) AS uncertainty FROM changed) face
    WHERE cluster_id IS NOT NULL GROUP BY cluster_id
    ON CONFLICT (cluster_id) DO UPDATE SET
        size = t.size + EXCLUDED.size, named = t.named + EXCLUDED.named, unsettled = t.unsettled + EXCLUDED.unsettled,
        uncertainty = t.uncertainty + EXCLUDED.uncertainty, digest = t.digest + EXCLUDED.digest;
    INSERT INTO label_totals AS t
    SELECT label_id, sign * count(*) FILTER (WHERE is_hard), sign * count(*) FILTER (WHERE NOT is_hard)
    FROM (SELECT coalesce(hard_label, soft_label) AS label_id, hard_label IS NOT NULL AS is_hard FROM changed) labelled
    WHERE label_id IS NOT NULL GROUP BY label_id
    ON CONFLICT (label_id) DO UPDATE SET hard = t.hard + EXCLUDED.hard, soft = t.soft + EXCLUDED.soft;
    INSERT INTO cluster_labels AS t
    SELECT coalesce(cluster_id, ''), hard_label, sign * count(*) FROM changed WHERE hard_label IS NOT NULL GROUP BY 1, 2
    ON CONFLICT (cluster_id, label_id) DO UPDATE SET faces = t.faces + EXCLUDED.faces;
    IF TG_OP = 'DELETE' THEN
        DELETE FROM cluster_totals t USING (SELECT DISTINCT cluster_id FROM changed) c
        WHERE t.cluster_id = c.cluster_id AND t.size = 0;
        DELETE FROM label_totals t USING (SELECT DISTINCT coalesce(hard_label, soft_label) AS label_id FROM changed) c
        WHERE t.label_id = c.label_id AND t.hard = 0 AND t.soft = 0;
        DELETE FROM cluster_labels t
        USING (SELECT DISTINCT coalesce(cluster_id, '') AS cluster_id, hard_label FROM changed) c
        WHERE t.cluster_id = c.cluster_id AND t.label_id = c.hard_label AND t.faces = 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER assignments_inserted AFTER INSERT ON assignments REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION add_up_assignments();
CREATE TRIGGER assignments_deleted AFTER DELETE ON assignments REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION add_up_assignments();
CREATE TRIGGER assignments_truncated AFTER TRUNCATE ON assignments
FOR EACH STATEMENT EXECUTE FUNCTION add_up_assignments();
CREATE TABLE kept_faces (
    scan_id text COLLATE "C" NOT NULL,
    face_id text COLLATE "C" NOT NULL,
    sha256  text,
    page    integer
);
CREATE INDEX kept_faces_of_scan ON kept_faces (scan_id);
CREATE INDEX kept_faces_by_id ON kept_faces USING hash (face_id);
ALTER TABLE faces
    ADD COLUMN turn integer NOT NULL DEFAULT 0,
    ADD COLUMN negative boolean NOT NULL DEFAULT false;
ALTER TABLE analyses ADD COLUMN analysed_at timestamptz;
ALTER TABLE offsets ADD COLUMN topic_id text;
ALTER TABLE offsets ADD COLUMN leader_epoch integer;
INSERT INTO catalogue_version VALUES (4);
