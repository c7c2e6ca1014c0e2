-- What the rows of `assignments` add up to: tables that triggers keep, so that nobody has to read a million faces to list
-- a few clusters or people. Like `assignments` they are a function of its topic. catalogue/schema.py runs this file after
-- schema.sql, where there is more about the tables.

-- Of each cluster the number of its faces, of those with a hard label, of those that are unsettled, and how unsettled they
-- are together (`uncertainty_of`). `digest` differs where the faces do: it is the sum of the hashes of their ids. Nothing
-- is rounded, so what is added and subtracted again leaves nothing over.
CREATE TABLE cluster_totals (
    cluster_id  text COLLATE "C" PRIMARY KEY,
    size        bigint NOT NULL,
    named       bigint NOT NULL,
    unsettled   bigint NOT NULL,
    uncertainty numeric NOT NULL,
    digest      numeric NOT NULL
);
CREATE INDEX clusters_by_uncertainty ON cluster_totals (uncertainty DESC, cluster_id);

-- The hard labels in a cluster ('' for faces in none), with the number of their faces.
CREATE TABLE cluster_labels (
    cluster_id text COLLATE "C",
    label_id   text COLLATE "C",
    faces      bigint NOT NULL,
    PRIMARY KEY (cluster_id, label_id)
);

-- The labels that faces have: how many have each as hard label, and how many as soft label without a hard one.
CREATE TABLE label_totals (
    label_id text COLLATE "C" PRIMARY KEY,
    hard     bigint NOT NULL,
    soft     bigint NOT NULL
);

-- How unsettled a face is, from 0 to 1: 1 - the probability of its soft label. Not at all with a hard label, or a soft one
-- of 0.95 or more: there is more to gain elsewhere.
CREATE FUNCTION uncertainty_of(hard_label text, probability double precision) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN hard_label IS NULL AND coalesce(probability, 0) < 0.95
                THEN 1 - coalesce(probability, 0)::numeric ELSE 0 END
$$;

-- Keeps these three tables. Assignments are inserted and deleted, never updated.
CREATE FUNCTION add_up_assignments() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign CONSTANT integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        -- They may be among the tables that are truncated, and cannot be once more.
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
