"""The kinds of error a consumer tells apart. The third, invalid, is `schemas.codec.InvalidRecord` or a `Rejected`."""


class Retriable(Exception):
    """It may work later (a service is away): wait and try the same again. Nothing of this batch has taken effect."""


class Fatal(Exception):
    """This process cannot go on. It stops, having committed nothing of the batch. The text is for a person."""
