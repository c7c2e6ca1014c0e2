"""Range search over embeddings: one shard's live faces, searched exactly while few and by HNSW when many."""
