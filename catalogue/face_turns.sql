-- Topic `faces`: how a face lies on its scan, see `schemas.faces.Face`.
-- Added to version 2 of the tables; catalogue/schema.py adds the columns also to a database that has the others already.
-- Rows that were written before that, or are written by a program that does not know the columns, have the defaults.
ALTER TABLE faces
    ADD COLUMN turn integer NOT NULL DEFAULT 0,
    ADD COLUMN negative boolean NOT NULL DEFAULT false;
