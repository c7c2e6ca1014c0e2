-- Decisions, which version 1 did not keep: the catalogue reads them from `labels`.
CREATE INDEX assignments_of_label ON assignments (hard_label) WHERE hard_label IS NOT NULL;
CREATE TABLE decisions (
    decision_id        text COLLATE "C" PRIMARY KEY,
    kind               text NOT NULL,
    author             text NOT NULL,
    decided_at         timestamptz NOT NULL,
    note               text,
    face_id            text COLLATE "C",
    other_face_id      text COLLATE "C",
    label_id           text COLLATE "C",
    name               text,
    authority          text,
    undone_decision_id text COLLATE "C"
);
CREATE INDEX decisions_of_face ON decisions (face_id);
CREATE INDEX decisions_of_other_face ON decisions (other_face_id);
CREATE INDEX decisions_of_label ON decisions (label_id);
CREATE INDEX undos_of_decision ON decisions (undone_decision_id);
