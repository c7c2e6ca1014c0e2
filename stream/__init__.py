"""Kafka: the one consume-transform-produce loop, transactions, dead letters, retries."""
