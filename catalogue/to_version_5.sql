-- From version 3, and from 4: what that has of the following depends on when the database was made, so all of it is made
-- where it is missing. Totals and counts are made again in any case (catalogue/schema.py).

ALTER TABLE scans ADD COLUMN IF NOT EXISTS years text[] NOT NULL DEFAULT '{}';
ALTER TABLE scans ALTER COLUMN years DROP DEFAULT;
UPDATE scans SET years = coalesce((
    SELECT array_agg(DISTINCT found[1] COLLATE "C" ORDER BY found[1] COLLATE "C")
    FROM jsonb_each_text(metadata) AS field, regexp_matches(field.value, '\y([0-9]{4})\y', 'g') AS found
), '{}')
WHERE years = '{}';
CREATE INDEX IF NOT EXISTS scans_of_collection ON scans (collection, scan_id);
CREATE INDEX IF NOT EXISTS scans_of_year ON scans USING gin (years);
CREATE OR REPLACE FUNCTION trigrams(whole text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT substr(whole, start, 3)), '{}') FROM generate_series(1, length(whole) - 2) start
$$;
CREATE INDEX IF NOT EXISTS scans_by_trigram ON scans USING gin (trigrams(lower(scan_id)));

-- What there is belongs to `blue`, the generation that is there from the beginning.
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

ALTER TABLE assignments RENAME TO all_assignments;
ALTER TABLE all_assignments ADD COLUMN generation text COLLATE "C" NOT NULL DEFAULT 'blue';
ALTER TABLE all_assignments DROP CONSTRAINT assignments_pkey, ADD PRIMARY KEY (generation, face_id);
DROP INDEX IF EXISTS assignments_of_cluster, assignments_of_label, noise;
CREATE INDEX assignments_of_cluster ON all_assignments (generation, cluster_id, face_id);
CREATE INDEX assignments_of_label ON all_assignments (generation, hard_label, scan_id, face_id)
WHERE hard_label IS NOT NULL;
CREATE INDEX noise ON all_assignments (generation, scan_id, face_id) WHERE role = 'noise';

ALTER TABLE cluster_changes RENAME TO all_cluster_changes;
ALTER TABLE all_cluster_changes ADD COLUMN generation text COLLATE "C" NOT NULL DEFAULT 'blue';
ALTER TABLE all_cluster_changes
    DROP CONSTRAINT cluster_changes_pkey, ADD PRIMARY KEY (generation, partition, "offset");
DROP INDEX changes_of_cluster;
CREATE INDEX changes_of_cluster ON all_cluster_changes (generation, cluster_id, "offset" DESC);

CREATE INDEX IF NOT EXISTS dead_letters_of_key ON dead_letters USING hash (key);
CREATE TABLE IF NOT EXISTS row_counts (
    name   text PRIMARY KEY,
    number bigint NOT NULL
);
ALTER TABLE row_counts ADD COLUMN generation text COLLATE "C" NOT NULL DEFAULT '';
UPDATE row_counts SET generation = 'blue' WHERE name IN ('clusters', 'noise', 'named');
ALTER TABLE row_counts DROP CONSTRAINT row_counts_pkey, ADD PRIMARY KEY (generation, name);

ALTER TABLE offsets ADD COLUMN IF NOT EXISTS topic_id text;
ALTER TABLE offsets ADD COLUMN IF NOT EXISTS leader_epoch integer;

CREATE TABLE IF NOT EXISTS catalogue_embedder (
    embedder  text NOT NULL,
    dimension integer NOT NULL
);
INSERT INTO catalogue_embedder SELECT '{dlib_embedder}', {embedding_dimensions}
WHERE NOT EXISTS (SELECT FROM catalogue_embedder);
ALTER TABLE faces ALTER COLUMN embedding DROP NOT NULL;

-- What records say that rows do not have: these topics are read again.
DO $$
BEGIN
    IF to_regclass('kept_faces') IS NULL THEN
        CREATE TABLE kept_faces (
            scan_id text COLLATE "C" NOT NULL,
            face_id text COLLATE "C" NOT NULL,
            sha256  text,
            page    integer
        );
        CREATE INDEX kept_faces_of_scan ON kept_faces (scan_id);
        CREATE INDEX kept_faces_by_id ON kept_faces USING hash (face_id);
        DELETE FROM offsets WHERE topic = 'scans';
    END IF;
    IF (SELECT count(*) FROM pg_attribute WHERE NOT attisdropped
        AND (attrelid, attname) IN ((to_regclass('faces'), 'turn'), (to_regclass('analyses'), 'analysed_at'))) < 2
    THEN
        ALTER TABLE faces
            ADD COLUMN IF NOT EXISTS turn integer NOT NULL DEFAULT 0,
            ADD COLUMN IF NOT EXISTS negative boolean NOT NULL DEFAULT false;
        ALTER TABLE analyses ADD COLUMN IF NOT EXISTS analysed_at timestamptz;
        DELETE FROM offsets WHERE topic = 'faces';
    END IF;
END $$;
