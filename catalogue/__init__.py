"""The catalogue: PostgreSQL tables for people and programs, rebuilt by replaying topics. The only SQL of the project.

`schema` creates the tables and `connection` opens them; `writer` writes records, with `rows`, `limits` and `tables`;
`reader`, `decisions` and `suggestions` are the queries.
"""
