"""The language of the system: events, topics and their encoding. Imports nothing of ours."""
