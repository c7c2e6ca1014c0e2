"""The errors that a person is told of: one base class, so that a program catches one.

The text of each is for a person: one line that says what was wrong with which input, and what to do.

    FacestreamError
    ├── UserError                       what a person gave cannot be used: an option, a path, a manifest, a decision
    │   └── ConflictError               decisions.conflicts: a decision that contradicts earlier ones
    ├── Fatal                           this process cannot go on
    ├── Retriable                       it may work later: the same is tried again
    ├── InvalidRecord                   schemas.codec: a record that can never be used; it becomes a dead letter
    ├── SnapshotRefused                 a snapshot that is damaged, or of something else
    ├── LocalServiceError               local: an embedded service is unavailable
    ├── CatalogueError                  catalogue: the database or the request does not fit
    │   └── CatalogueUnavailable        PostgreSQL does not answer now
    ├── UnavailableImage                models.fetching: the image of a scan is not there
    │   └── UnknownStore                no driver for a uri of this kind
    ├── UnreadableImage                 models.images: the bytes are not an image that can be read
    ├── WeightsError                    models.weights: a weight file is missing or another
    └── EngineError                     models.onnx_session: the networks cannot be loaded here
        └── NetworkFailed               a network failed while it computed

A consumer tells three kinds apart: retriable (wait, try the same again), invalid (dead letter, go on) and fatal (stop).
"""

from __future__ import annotations


class FacestreamError(Exception):
    """Whatever a person is told in one line. Raise one of its subclasses."""


class UserError(FacestreamError):
    """What a person gave cannot be used: an option, a path, a manifest. The text says which, why, and what to do."""


class Retriable(FacestreamError):
    """It may work later (a service is away): wait and try the same again. Nothing of this batch has taken effect."""


class Fatal(FacestreamError):
    """This process cannot go on. It stops, having committed nothing of the batch."""


class SnapshotRefused(FacestreamError):
    """A snapshot that is not used: damaged, or made with other parameters. The text says which and why."""
