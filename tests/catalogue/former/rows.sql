INSERT INTO scans (scan_id, uri, sha256, media_type, collection, page, metadata, published_at{years}) VALUES
    ('album/1.jpg', 'file:///album/1.jpg', 'aa', 'image/jpeg', 'album', NULL,
     '{"title": "Summer 1931–1932", "copy": "19310", "shelf": "x1944"}', '2026-01-02 12:00+00'{of_album}),
    ('album/2.tif#3', 'file:///album/2.tif', 'bb', 'image/tiff', 'album', 3, '{}', '2026-01-02 12:01+00'{of_none}),
    ('prints/3.jpg', 'file:///prints/3.jpg', 'cc', 'image/jpeg', 'prints', NULL, '{}', '2026-01-02 12:02+00'{of_none});
INSERT INTO analyses (scan_id, analysis, sha256, width, height, provenance) VALUES
    ('album/1.jpg', 0, 'aa', 800, 600, '{"engine": "onnx"}'),
    ('album/2.tif#3', 1, 'bb', 800, 600, '{"engine": "onnx"}');
INSERT INTO faces (face_id, scan_id, analysis, box_left, box_top, box_right, box_bottom, landmarks, score, size_px,
                   sharpness, embedding)
SELECT face_id, scan_id, analysis, 0.25, 0.25, 0.5, 0.5, '[]', 1, 80, 100, array_fill(value::real, ARRAY[128])::vector
FROM (VALUES ('a1', 'album/1.jpg', 0, 0.01), ('a2', 'album/1.jpg', 0, 0.5), ('b1', 'album/2.tif#3', 1, 0.011))
    AS face(face_id, scan_id, analysis, value);
INSERT INTO assignments VALUES
    ('a1', 'album/1.jpg', 0, 'a1', 'core', 'ann', NULL, NULL, '[]'),
    ('a2', 'album/1.jpg', 0, NULL, 'noise', NULL, NULL, NULL, '[]'),
    ('b1', 'album/2.tif#3', 1, 'a1', 'core', NULL, 'ann', 0.875, '[{"label_id": "ann", "probability": 0.875}]');
INSERT INTO cluster_changes VALUES
    (0, 0, 'b1', 'created', 1, NULL, '{}'),
    (0, 1, 'b1', 'merged', 0, 'a1', '{}'),
    (0, 2, 'a1', 'created', 2, NULL, '{}');
INSERT INTO dead_letters VALUES
    ('scans', 0, 2, 'detect', 'prints/3.jpg', 'the image is damaged', '2026-01-02 12:03+00');
INSERT INTO offsets (consumer, topic, partition, next_offset) VALUES
    ('catalogue', 'scans', 0, 3), ('catalogue', 'faces', 0, 2), ('catalogue', 'assignments', 0, 3),
    ('catalogue', 'clusters', 0, 3), ('catalogue', 'labels', 0, 3), ('catalogue', 'dead-letters', 0, 1);
