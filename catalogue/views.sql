-- The catalogue's views, and the functions that they use. catalogue/schema.py runs this file after schema.sql and
-- totals.sql, and after each migration. Subscribers rely on views (docs/subscribing.md): columns are added at their end
-- only, so that a view can be replaced while others are built on it, and keeps its grants.

-- What the live generation has of the tables `all_…`.
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

-- Who might read one of these tables when it was called so may read the view.
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

-- The faces of published scans with their assignment; its columns are NULL until the face has been clustered.
-- `label_id` is the hard label (decided), `soft_label` the suggested one.
CREATE OR REPLACE VIEW face_catalogue AS
SELECT f.face_id, f.scan_id, s.uri, s.page, s.collection, f.analysis,
       f.box_left, f.box_top, f.box_right, f.box_bottom, f.score, f.size_px, f.sharpness,
       a.cluster_id, a.role, a.hard_label AS label_id, a.soft_label, a.probability, a.distribution
FROM faces f
JOIN scans s ON s.scan_id = f.scan_id
LEFT JOIN assignments a ON a.face_id = f.face_id AND a.scan_id = f.scan_id;

-- The cluster that continues a cluster: itself while it exists, the end of its redirects once it was superseded, and
-- NULL when it was removed or is unknown. An id that was superseded and is in use again yields itself.
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

-- Whether a decision has an undo that holds and is later. Decisions are compared by time, then id, as in
-- decisions/holding.py.
CREATE OR REPLACE FUNCTION is_undone(decision text, made_at timestamptz) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM decisions u
        WHERE u.undone_decision_id = decision AND (u.decided_at, u.decision_id) > (made_at, decision)
        AND NOT is_undone(u.decision_id, u.decided_at)
    );
END $$;

-- The decisions that hold, undos included. Of those about one face or one pair, the latest takes effect. The function is
-- called for decisions with an undo alone, which are few.
CREATE OR REPLACE VIEW holding_decisions AS
SELECT d.* FROM decisions d
WHERE NOT EXISTS (SELECT FROM decisions u WHERE u.undone_decision_id = d.decision_id)
OR NOT is_undone(d.decision_id, d.decided_at);

-- The decisions that hold about one face and one person (`label_id`), without those that a removal of the person ended.
CREATE OR REPLACE VIEW decisions_about_persons AS
SELECT d.decision_id, d.kind, d.author, d.decided_at, d.note, d.face_id, l.person_id AS label_id, d.until
FROM holding_decisions d JOIN known_labels l ON l.label_id = d.label_id
WHERE d.kind IN ('named', 'name-rejected', 'not-sure')
AND (l.removed_at IS NULL OR (d.decided_at, d.decision_id) > (l.removed_at, l.removed_by));

-- The rejected labels of each face: the latest naming or rejection of the face and this label is a rejection.
CREATE OR REPLACE VIEW rejections AS
SELECT face_id, label_id, decision_id, author, decided_at, note
FROM (
    SELECT DISTINCT ON (face_id, label_id) * FROM decisions_about_persons WHERE kind IN ('named', 'name-rejected')
    ORDER BY face_id, label_id, decided_at DESC, decision_id DESC
) latest
WHERE kind = 'name-rejected';

-- The faces that are not proposed for a person now, because somebody was not sure and nobody has decided it since.
CREATE OR REPLACE VIEW unsure AS
SELECT DISTINCT ON (n.face_id, n.label_id) n.face_id, n.label_id, n.until, n.decision_id, n.author, n.decided_at, n.note
FROM decisions_about_persons n
WHERE n.kind = 'not-sure' AND n.until > now() AND NOT EXISTS (
    SELECT FROM decisions_about_persons o
    WHERE o.face_id = n.face_id AND o.label_id = n.label_id AND o.kind <> 'not-sure'
    AND (o.decided_at, o.decision_id) > (n.decided_at, n.decision_id)
)
ORDER BY n.face_id, n.label_id, n.until DESC, n.decision_id;

-- The faces that are none: nobody has named them since. They have no assignment.
CREATE OR REPLACE VIEW not_faces AS
SELECT DISTINCT ON (n.face_id) n.face_id, n.decision_id, n.author, n.decided_at, n.note
FROM holding_decisions n
WHERE n.kind = 'not-a-face' AND NOT EXISTS (
    SELECT FROM holding_decisions o
    WHERE o.face_id = n.face_id AND o.kind = 'named'
    AND (o.decided_at, o.decision_id) > (n.decided_at, n.decision_id)
)
ORDER BY n.face_id, n.decided_at DESC, n.decision_id DESC;

-- The faces that a face is linked with or separated from (`kind`). Each pair has two rows, one for each face.
CREATE OR REPLACE VIEW pairs AS
SELECT DISTINCT ON (face_id, other_face_id) face_id, other_face_id, kind, decision_id, author, decided_at, note
FROM (
    SELECT face_id, other_face_id, kind, decision_id, author, decided_at, note FROM holding_decisions
    UNION ALL
    SELECT other_face_id, face_id, kind, decision_id, author, decided_at, note FROM holding_decisions
) both_ends
WHERE kind IN ('linked', 'separated')
ORDER BY face_id, other_face_id, decided_at DESC, decision_id DESC;

-- The names that label ids stand for. Those that were merged have the name of the person.
CREATE OR REPLACE VIEW names AS
SELECT label_id, person_id, name, authority FROM known_labels WHERE name IS NOT NULL;

-- The people, with the number of faces that have the label as hard and as soft label.
CREATE OR REPLACE VIEW people AS
SELECT label_id, n.name, n.authority, coalesce(h.faces, 0) AS hard, coalesce(s.faces, 0) AS soft
FROM names n
LEFT JOIN (SELECT label_id, count(*) AS faces FROM face_catalogue GROUP BY label_id) h USING (label_id)
LEFT JOIN (SELECT soft_label AS label_id, count(*) AS faces FROM face_catalogue GROUP BY soft_label) s
    USING (label_id)
WHERE label_id = n.person_id;

-- The suggestions for faces without a hard label: one row for each label of a face's distribution.
CREATE OR REPLACE VIEW suggestions AS
SELECT f.face_id, f.scan_id, f.cluster_id, d.label_id, coalesce(p.name, d.label_id) AS name, d.probability
FROM face_catalogue f
CROSS JOIN LATERAL jsonb_to_recordset(f.distribution) AS d(label_id text COLLATE "C", probability double precision)
LEFT JOIN names p ON p.label_id = d.label_id
WHERE f.label_id IS NULL;
