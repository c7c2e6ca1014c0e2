-- The tables of totals: what the rows of `all_assignments` add up to, so that nobody has to read a million faces to list a
-- few clusters or people. Triggers keep them (totals.sql). catalogue/schema.py runs this file after schema.sql.

-- Of each cluster the number of its faces, of those with a hard label, of those that are unsettled, and how unsettled they
-- are together (`uncertainty_of`). `digest` differs where the faces do: it is the sum of the hashes of their ids. Nothing
-- is rounded, so what is added and subtracted again leaves nothing over.
CREATE TABLE all_cluster_totals (
    cluster_id  text COLLATE "C" NOT NULL,
    size        bigint NOT NULL,
    named       bigint NOT NULL,
    unsettled   bigint NOT NULL,
    uncertainty numeric NOT NULL,
    digest      numeric NOT NULL,
    generation  text COLLATE "C" NOT NULL DEFAULT 'blue',
    PRIMARY KEY (cluster_id, generation)
);
CREATE INDEX clusters_by_uncertainty ON all_cluster_totals (generation, uncertainty DESC, cluster_id);

-- The hard labels in a cluster ('' for faces in none), with the number of their faces.
CREATE TABLE all_cluster_labels (
    cluster_id text COLLATE "C" NOT NULL,
    label_id   text COLLATE "C" NOT NULL,
    faces      bigint NOT NULL,
    generation text COLLATE "C" NOT NULL DEFAULT 'blue',
    PRIMARY KEY (cluster_id, label_id, generation)
);

-- The labels that faces have: how many have each as hard label, and how many as soft label without a hard one.
CREATE TABLE all_label_totals (
    label_id   text COLLATE "C" NOT NULL,
    hard       bigint NOT NULL,
    soft       bigint NOT NULL,
    generation text COLLATE "C" NOT NULL DEFAULT 'blue',
    PRIMARY KEY (label_id, generation)
);
