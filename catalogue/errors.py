"""What can be wrong with the database, said for a person."""


class CatalogueError(Exception):
    """The database or the request does not fit, and trying again does not help. The text is one line for a person."""


class CatalogueUnavailable(CatalogueError):
    """PostgreSQL cannot be reached now; it may be there later."""
