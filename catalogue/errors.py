"""What can be wrong with the database, for a person."""

from errors import FacestreamError


class CatalogueError(FacestreamError):
    """The database or the request does not fit, and trying again does not help. The text is one line for a person."""


class CatalogueUnavailable(CatalogueError):
    """PostgreSQL cannot be reached now; it may be there later."""
