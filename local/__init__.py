"""The embedded services for one machine: a real Kafka broker and a real PostgreSQL."""
