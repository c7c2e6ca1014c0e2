-- Topic `scans`: the faces whose ids a scan's next analysis keeps, with the picture on which each was last found.
-- Added to version 2 of the tables; catalogue/schema.py creates it also in a database that has the others already. A
-- record that was written before that has no rows here. The index is one by hash, since an id of any length fits it.
CREATE TABLE kept_faces (
    scan_id text COLLATE "C" NOT NULL,
    face_id text COLLATE "C" NOT NULL,
    sha256  text,
    page    integer
);
CREATE INDEX kept_faces_of_scan ON kept_faces (scan_id);
CREATE INDEX kept_faces_by_id ON kept_faces USING hash (face_id);
