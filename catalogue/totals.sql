-- Keeps the tables of totals_tables.sql. Like the others these are a function of their topics. catalogue/schema.py runs this
-- file after that one, and after each migration: then all is added up again.

-- How unsettled a face is, from 0 to 1: 1 - the probability of its soft label. Not at all with a hard label, or a soft one
-- of 0.95 or more: there is more to gain elsewhere.
CREATE OR REPLACE FUNCTION uncertainty_of(hard_label text, probability double precision) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN hard_label IS NULL AND coalesce(probability, 0) < 0.95
                THEN 1 - coalesce(probability, 0)::numeric ELSE 0 END
$$;

-- Of each generation apart. Assignments are inserted and deleted, never updated.
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
        -- By arrays: of a join PostgreSQL may read all totals, to find those that are 0 first. In another generation none is.
        DELETE FROM all_cluster_totals WHERE size = 0
        AND cluster_id = ANY (ARRAY(SELECT DISTINCT cluster_id FROM changed WHERE cluster_id IS NOT NULL));
        DELETE FROM all_label_totals WHERE hard = 0 AND soft = 0
        AND label_id = ANY (ARRAY(SELECT DISTINCT coalesce(hard_label, soft_label) FROM changed));
        DELETE FROM all_cluster_labels WHERE faces = 0
        AND cluster_id = ANY (ARRAY(SELECT DISTINCT coalesce(cluster_id, '') FROM changed WHERE hard_label IS NOT NULL))
        AND label_id = ANY (ARRAY(SELECT DISTINCT hard_label FROM changed WHERE hard_label IS NOT NULL));
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER assignments_inserted AFTER INSERT ON all_assignments REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION add_up_assignments();
CREATE OR REPLACE TRIGGER assignments_deleted AFTER DELETE ON all_assignments REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION add_up_assignments();
CREATE OR REPLACE TRIGGER assignments_truncated AFTER TRUNCATE ON all_assignments
FOR EACH STATEMENT EXECUTE FUNCTION add_up_assignments();

-- What there is already, as the triggers would have added it up.
TRUNCATE all_cluster_totals, all_cluster_labels, all_label_totals;
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
