"""The tables that people and programs look into: the project's only SQL. A view of the topics, made again by replay."""
