"""What can be wrong with what a person gave to a producer."""

from stream.errors import Fatal


class InputError(Fatal):
    """A path, a manifest or an option cannot be used. The text says which, what is wrong, and what to do."""
