"""Kafka: the two loops that consumers run on, transactions, dead letters, retries, reading, lag."""
