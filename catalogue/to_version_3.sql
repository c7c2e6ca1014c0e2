-- Decisions about people, and who label ids stand for.

-- They are built on the table that is made again below; views.sql creates them as they are now.
DROP VIEW IF EXISTS suggestions, people, names, pairs, rejections, holding_decisions;

-- With the new columns where version 3 had them: the order is that of views.
ALTER TABLE decisions RENAME TO former_decisions;
CREATE TABLE decisions (
    decision_id        text COLLATE "C" NOT NULL,
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
INSERT INTO decisions (decision_id, kind, author, decided_at, note, face_id, other_face_id, label_id, name, authority,
                       undone_decision_id)
SELECT decision_id, kind, author, decided_at, note, face_id, other_face_id, label_id, name, authority,
       undone_decision_id
FROM former_decisions;
DROP TABLE former_decisions;
ALTER TABLE decisions ADD PRIMARY KEY (decision_id);
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

-- Who label ids stand for follows from rules that are not SQL, and kinds of decisions that version 2 did not know were left
-- out of its rows: `labels` is read again.
DELETE FROM offsets WHERE topic = 'labels';
