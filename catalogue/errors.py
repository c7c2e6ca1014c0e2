"""Errors of the database, with a text of one line for a person."""

from errors import FacestreamError


class CatalogueError(FacestreamError):
    """The database cannot hold a catalogue, or a query names something that is not in it. A retry does not help."""


class CatalogueUnavailable(CatalogueError):
    """PostgreSQL does not answer. A retry may help."""
