"""The pages of the desk, one module each. A page reads the catalogue and the decisions, and writes nothing."""
