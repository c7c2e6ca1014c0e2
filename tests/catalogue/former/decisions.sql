INSERT INTO decisions (decision_id, kind, author, decided_at, note, face_id, label_id, name, undone_decision_id) VALUES
    ('d1', 'named', 'Mari', '2026-01-02 12:04+00', NULL, 'a1', 'ann', 'Ann', NULL),
    ('d2', 'name-rejected', 'Mari', '2026-01-02 12:05+00', 'another nose', 'a2', 'ann', NULL, NULL),
    ('d3', 'undone', 'Mari', '2026-01-02 12:06+00', NULL, NULL, NULL, NULL, 'd2');
