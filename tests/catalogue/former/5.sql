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
CREATE TABLE kept_faces (
    scan_id text COLLATE "C" NOT NULL,
    face_id text COLLATE "C" NOT NULL,
    sha256  text,
    page    integer
);
CREATE INDEX kept_faces_of_scan ON kept_faces (scan_id);
CREATE INDEX kept_faces_by_id ON kept_faces USING hash (face_id);
CREATE TABLE analyses (
    scan_id     text COLLATE "C" PRIMARY KEY,
    analysis    bigint NOT NULL,
    sha256      text NOT NULL,
    width       integer NOT NULL,
    height      integer NOT NULL,
    provenance  jsonb NOT NULL,
    analysed_at timestamptz
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
    embedding  vector(128),
    turn       integer NOT NULL DEFAULT 0,
    negative   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (face_id, scan_id)
);
CREATE INDEX faces_of_scan ON faces (scan_id);
CREATE TABLE generations (
    generation text COLLATE "C" PRIMARY KEY,
    parameters jsonb NOT NULL,
    state      text NOT NULL,
    changed_at timestamptz NOT NULL,
    since      bigint NOT NULL
);
CREATE TABLE live_generation (
    generation text COLLATE "C" NOT NULL,
    former     text COLLATE "C",
    is_only    boolean PRIMARY KEY DEFAULT true CHECK (is_only)
);
INSERT INTO live_generation (generation) VALUES ('blue');
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
    PRIMARY KEY (generation, face_id)
);
CREATE INDEX assignments_of_cluster ON all_assignments (generation, cluster_id, face_id);
CREATE INDEX assignments_of_label ON all_assignments (generation, hard_label, scan_id, face_id)
WHERE hard_label IS NOT NULL;
CREATE INDEX noise ON all_assignments (generation, scan_id, face_id) WHERE role = 'noise';
CREATE TABLE all_cluster_changes (
    partition  integer NOT NULL,
    "offset"   bigint NOT NULL,
    cluster_id text COLLATE "C" NOT NULL,
    change     text NOT NULL,
    size       bigint NOT NULL,
    successor  text COLLATE "C",
    parts      text[] NOT NULL,
    generation text COLLATE "C" NOT NULL DEFAULT 'blue',
    PRIMARY KEY (generation, partition, "offset")
);
CREATE INDEX changes_of_cluster ON all_cluster_changes (generation, cluster_id, "offset" DESC);
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
    name       text NOT NULL,
    number     bigint NOT NULL,
    generation text COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (generation, name)
);
CREATE TABLE offsets (
    consumer     text NOT NULL,
    topic        text NOT NULL,
    partition    integer NOT NULL,
    next_offset  bigint NOT NULL,
    topic_id     text,
    leader_epoch integer,
    PRIMARY KEY (consumer, topic, partition)
);
CREATE TABLE catalogue_embedder (
    embedder  text NOT NULL,
    dimension integer NOT NULL
);
INSERT INTO catalogue_embedder VALUES ('55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30', 128);
CREATE INDEX IF NOT EXISTS faces_near ON faces USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 32);
CREATE TABLE all_cluster_totals (
    cluster_id  text COLLATE "C" NOT NULL,
    size        bigint NOT NULL,
    named       bigint NOT NULL,
    unsettled   bigint NOT NULL,
    uncertainty numeric NOT NULL,
    digest      numeric NOT NULL,
    generation  text COLLATE "C" NOT NULL DEFAULT 'blue',
    PRIMARY KEY (generation, cluster_id)
);
CREATE INDEX clusters_by_uncertainty ON all_cluster_totals (generation, uncertainty DESC, cluster_id);
CREATE TABLE all_cluster_labels (
    cluster_id text COLLATE "C" NOT NULL,
    label_id   text COLLATE "C" NOT NULL,
    faces      bigint NOT NULL,
    generation text COLLATE "C" NOT NULL DEFAULT 'blue',
    PRIMARY KEY (generation, cluster_id, label_id)
);
CREATE TABLE all_label_totals (
    label_id   text COLLATE "C" NOT NULL,
    hard       bigint NOT NULL,
    soft       bigint NOT NULL,
    generation text COLLATE "C" NOT NULL DEFAULT 'blue',
    PRIMARY KEY (generation, label_id)
);
CREATE OR REPLACE FUNCTION uncertainty_of(hard_label text, probability double precision) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN hard_label IS NULL AND coalesce(probability, 0) < 0.95
                THEN 1 - coalesce(probability, 0)::numeric ELSE 0 END
$$;
CREATE OR REPLACE FUNCTION add_up_assignments() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign CONSTANT integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        -- They may be among the tables that are truncated, and cannot be once more.
        DELETE FROM all_cluster_totals;
        DELETE FROM all_label_totals;
        DELETE FROM all_cluster_labels;
        RETURN NULL;
    END IF;
    INSERT INTO all_cluster_totals AS t (generation, cluster_id, size, named, unsettled, uncertainty, digest)
    SELECT generation, cluster_id, sign * count(*), sign * count(hard_label),
           sign * count(*) FILTER (WHERE uncertainty > 0), sign * sum(uncertainty),
           sign * sum(hashtextextended(face_id, 0)::numeric)
    FROM (SELECT *, uncertainty_of(hard_label, probability) AS uncertainty FROM changed) face
    WHERE cluster_id IS NOT NULL GROUP BY generation, cluster_id
    ON CONFLICT (generation, cluster_id) DO UPDATE SET
        size = t.size + EXCLUDED.size, named = t.named + EXCLUDED.named, unsettled = t.unsettled + EXCLUDED.unsettled,
        uncertainty = t.uncertainty + EXCLUDED.uncertainty, digest = t.digest + EXCLUDED.digest;
    INSERT INTO all_label_totals AS t (generation, label_id, hard, soft)
    SELECT generation, label_id, sign * count(*) FILTER (WHERE is_hard), sign * count(*) FILTER (WHERE NOT is_hard)
    FROM (SELECT generation, coalesce(hard_label, soft_label) AS label_id, hard_label IS NOT NULL AS is_hard
          FROM changed) labelled
    WHERE label_id IS NOT NULL GROUP BY generation, label_id
    ON CONFLICT (generation, label_id) DO UPDATE SET hard = t.hard + EXCLUDED.hard, soft = t.soft + EXCLUDED.soft;
    INSERT INTO all_cluster_labels AS t (generation, cluster_id, label_id, faces)
    SELECT generation, coalesce(cluster_id, ''), hard_label, sign * count(*) FROM changed
    WHERE hard_label IS NOT NULL GROUP BY 1, 2, 3
    ON CONFLICT (generation, cluster_id, label_id) DO UPDATE SET faces = t.faces + EXCLUDED.faces;
    IF TG_OP = 'DELETE' THEN
        DELETE FROM all_cluster_totals t USING (SELECT DISTINCT generation, cluster_id FROM changed) c
        WHERE t.generation = c.generation AND t.cluster_id = c.cluster_id AND t.size = 0;
        DELETE FROM all_label_totals t
        USING (SELECT DISTINCT generation, coalesce(hard_label, soft_label) AS label_id FROM changed) c
        WHERE t.generation = c.generation AND t.label_id = c.label_id AND t.hard = 0 AND t.soft = 0;
        DELETE FROM all_cluster_labels t
        USING (SELECT DISTINCT generation, coalesce(cluster_id, '') AS cluster_id, hard_label FROM changed) c
        WHERE t.generation = c.generation AND t.cluster_id = c.cluster_id AND t.label_id = c.hard_label AND t.faces = 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER assignments_inserted AFTER INSERT ON all_assignments REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION add_up_assignments();
CREATE TRIGGER assignments_deleted AFTER DELETE ON all_assignments REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION add_up_assignments();
CREATE TRIGGER assignments_truncated AFTER TRUNCATE ON all_assignments
FOR EACH STATEMENT EXECUTE FUNCTION add_up_assignments();
INSERT INTO all_cluster_totals
SELECT cluster_id, count(*), count(hard_label), count(*) FILTER (WHERE uncertainty > 0), sum(uncertainty),
       sum(hashtextextended(face_id, 0)::numeric), generation
FROM (SELECT *, uncertainty_of(hard_label, probability) AS uncertainty FROM all_assignments) face
WHERE cluster_id IS NOT NULL GROUP BY generation, cluster_id;
INSERT INTO all_cluster_labels
SELECT coalesce(cluster_id, ''), hard_label, count(*), generation FROM all_assignments
WHERE hard_label IS NOT NULL GROUP BY 1, 2, 4;
INSERT INTO all_label_totals
SELECT coalesce(hard_label, soft_label), count(hard_label), count(*) FILTER (WHERE hard_label IS NULL), generation
FROM all_assignments WHERE coalesce(hard_label, soft_label) IS NOT NULL GROUP BY 1, 4;
CREATE OR REPLACE VIEW assignments AS
SELECT face_id, scan_id, analysis, cluster_id, role, hard_label, soft_label, probability, distribution
FROM all_assignments WHERE generation = (SELECT l.generation FROM live_generation l);
CREATE OR REPLACE VIEW cluster_changes AS
SELECT partition, "offset", cluster_id, change, size, successor, parts
FROM all_cluster_changes WHERE generation = (SELECT l.generation FROM live_generation l);
CREATE OR REPLACE VIEW cluster_totals AS
SELECT cluster_id, size, named, unsettled, uncertainty, digest
FROM all_cluster_totals WHERE generation = (SELECT l.generation FROM live_generation l);
CREATE OR REPLACE VIEW cluster_labels AS
SELECT cluster_id, label_id, faces
FROM all_cluster_labels WHERE generation = (SELECT l.generation FROM live_generation l);
CREATE OR REPLACE VIEW label_totals AS
SELECT label_id, hard, soft
FROM all_label_totals WHERE generation = (SELECT l.generation FROM live_generation l);
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT v.name AS view_name, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END AS reader
        FROM unnest(ARRAY['assignments', 'cluster_changes']) AS v(name)
        JOIN pg_class t ON t.oid = to_regclass('all_' || v.name)
        CROSS JOIN LATERAL aclexplode(t.relacl) a
        LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE a.privilege_type = 'SELECT' AND a.grantee <> t.relowner
    LOOP
        EXECUTE format('GRANT SELECT ON %I TO %s', granted.view_name, granted.reader);
    END LOOP;
END $$;
CREATE OR REPLACE VIEW face_catalogue AS
SELECT f.face_id, f.scan_id, s.uri, s.page, s.collection, f.analysis,
       f.box_left, f.box_top, f.box_right, f.box_bottom, f.score, f.size_px, f.sharpness,
       a.cluster_id, a.role, a.hard_label AS label_id, a.soft_label, a.probability, a.distribution
FROM faces f
JOIN scans s ON s.scan_id = f.scan_id
LEFT JOIN assignments a ON a.face_id = f.face_id AND a.scan_id = f.scan_id;
CREATE OR REPLACE FUNCTION current_cluster(wanted text) RETURNS text LANGUAGE sql STABLE AS $$
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
CREATE OR REPLACE FUNCTION is_undone(decision text, made_at timestamptz) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM decisions u
        WHERE u.undone_decision_id = decision AND (u.decided_at, u.decision_id) > (made_at, decision)
        AND NOT is_undone(u.decision_id, u.decided_at)
    );
END $$;
CREATE OR REPLACE VIEW holding_decisions AS
SELECT d.* FROM decisions d
WHERE NOT EXISTS (SELECT FROM decisions u WHERE u.undone_decision_id = d.decision_id)
OR NOT is_undone(d.decision_id, d.decided_at);
CREATE OR REPLACE VIEW decisions_about_persons AS
SELECT d.decision_id, d.kind, d.author, d.decided_at, d.note, d.face_id, l.person_id AS label_id, d.until
FROM holding_decisions d JOIN known_labels l ON l.label_id = d.label_id
WHERE d.kind IN ('named', 'name-rejected', 'not-sure')
AND (l.removed_at IS NULL OR (d.decided_at, d.decision_id) > (l.removed_at, l.removed_by));
CREATE OR REPLACE VIEW rejections AS
SELECT face_id, label_id, decision_id, author, decided_at, note
FROM (
    SELECT DISTINCT ON (face_id, label_id) * FROM decisions_about_persons WHERE kind IN ('named', 'name-rejected')
    ORDER BY face_id, label_id, decided_at DESC, decision_id DESC
) latest
WHERE kind = 'name-rejected';
CREATE OR REPLACE VIEW unsure AS
SELECT DISTINCT ON (n.face_id, n.label_id) n.face_id, n.label_id, n.until, n.decision_id, n.author, n.decided_at, n.note
FROM decisions_about_persons n
WHERE n.kind = 'not-sure' AND n.until > now() AND NOT EXISTS (
    SELECT FROM decisions_about_persons o
    WHERE o.face_id = n.face_id AND o.label_id = n.label_id AND o.kind <> 'not-sure'
    AND (o.decided_at, o.decision_id) > (n.decided_at, n.decision_id)
)
ORDER BY n.face_id, n.label_id, n.until DESC, n.decision_id;
CREATE OR REPLACE VIEW not_faces AS
SELECT DISTINCT ON (n.face_id) n.face_id, n.decision_id, n.author, n.decided_at, n.note
FROM holding_decisions n
WHERE n.kind = 'not-a-face' AND NOT EXISTS (
    SELECT FROM holding_decisions o
    WHERE o.face_id = n.face_id AND o.kind = 'named'
    AND (o.decided_at, o.decision_id) > (n.decided_at, n.decision_id)
)
ORDER BY n.face_id, n.decided_at DESC, n.decision_id DESC;
CREATE OR REPLACE VIEW pairs AS
SELECT DISTINCT ON (face_id, other_face_id) face_id, other_face_id, kind, decision_id, author, decided_at, note
FROM (
    SELECT face_id, other_face_id, kind, decision_id, author, decided_at, note FROM holding_decisions
    UNION ALL
    SELECT other_face_id, face_id, kind, decision_id, author, decided_at, note FROM holding_decisions
) both_ends
WHERE kind IN ('linked', 'separated')
ORDER BY face_id, other_face_id, decided_at DESC, decision_id DESC;
CREATE OR REPLACE VIEW names AS
SELECT label_id, person_id, name, authority FROM known_labels WHERE name IS NOT NULL;
CREATE OR REPLACE VIEW people AS
SELECT label_id, n.name, n.authority, coalesce(h.faces, 0) AS hard, coalesce(s.faces, 0) AS soft
FROM names n
LEFT JOIN (SELECT label_id, count(*) AS faces FROM face_catalogue GROUP BY label_id) h USING (label_id)
LEFT JOIN (SELECT soft_label AS label_id, count(*) AS faces FROM face_catalogue GROUP BY soft_label) s
    USING (label_id)
WHERE label_id = n.person_id;
CREATE OR REPLACE VIEW suggestions AS
SELECT f.face_id, f.scan_id, f.cluster_id, d.label_id, coalesce(p.name, d.label_id) AS name, d.probability
FROM face_catalogue f
CROSS JOIN LATERAL jsonb_to_recordset(f.distribution) AS d(label_id text COLLATE "C", probability double precision)
LEFT JOIN names p ON p.label_id = d.label_id
WHERE f.label_id IS NULL;
INSERT INTO catalogue_version VALUES (5);
