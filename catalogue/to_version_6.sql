-- From version 5: in the keys of assignments, changes and totals, and in the indexes of clusters, ids stand before
-- generations. A database has one generation or two, so that a generation says next to nothing of a row. But while
-- PostgreSQL has no statistics it takes each column to have 200 values, and read all rows of a generation for a few faces.
-- Totals and counts are made again in any case (catalogue/schema.py).

ALTER TABLE all_assignments DROP CONSTRAINT all_assignments_pkey, ADD PRIMARY KEY (face_id, generation);
DROP INDEX assignments_of_cluster;
CREATE INDEX assignments_of_cluster ON all_assignments (cluster_id, generation, face_id);

ALTER TABLE all_cluster_changes
    DROP CONSTRAINT all_cluster_changes_pkey, ADD PRIMARY KEY (partition, "offset", generation);
DROP INDEX changes_of_cluster;
CREATE INDEX changes_of_cluster ON all_cluster_changes (cluster_id, generation, "offset" DESC);

-- Version 5 has these; where it is on the way from an earlier one, they are made afterwards.
ALTER TABLE IF EXISTS all_cluster_totals
    DROP CONSTRAINT all_cluster_totals_pkey, ADD PRIMARY KEY (cluster_id, generation);
ALTER TABLE IF EXISTS all_cluster_labels
    DROP CONSTRAINT all_cluster_labels_pkey, ADD PRIMARY KEY (cluster_id, label_id, generation);
ALTER TABLE IF EXISTS all_label_totals
    DROP CONSTRAINT all_label_totals_pkey, ADD PRIMARY KEY (label_id, generation);

-- What version 4 called by the names that are views now.
DO $$
DECLARE
    former text;
BEGIN
    FOREACH former IN ARRAY ARRAY['cluster_totals', 'cluster_labels', 'label_totals'] LOOP
        IF (SELECT relkind FROM pg_class WHERE oid = to_regclass(former)) = 'r' THEN
            EXECUTE format('DROP TABLE %I', former);
        END IF;
    END LOOP;
END $$;
