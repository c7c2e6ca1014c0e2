-- Finds the faces that are nearest to one. Half of pgvector's default links and candidates, so that insertion keeps up with
-- the feed. The reader compensates with more candidates per search (benchmarks/catalogue.py measures speed and recall).
-- catalogue/vector_index.py drops it before a large refill, and runs this file at the end.
CREATE INDEX IF NOT EXISTS faces_near ON faces USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 32);
