"""Range search over embeddings: the live faces of a shard, searched exactly while they are few, else by HNSW."""
