"""The errors that are reported to a person: one base class, so that a program catches one.

The text of each is for a person: one line that names the input, what is wrong with it, and what to do. A class that is
defined elsewhere has its module before its meaning.

    FacestreamError
    ├── UserError                       an option, a path, a manifest or a decision that a person gave cannot be used
    │   ├── Refusal                     decisions.refusals: something cannot be decided
    │   │   └── ConflictError           decisions.conflicts: a decision that contradicts earlier ones
    │   ├── DecidedMeanwhile            decisions.beliefs: somebody else decided before; the author has to look again
    │   └── TruthProblem                evaluation.truth: a truth about faces that cannot be used
    ├── Fatal                           this process cannot continue
    │   └── NewerRecord                 schemas.codec: a later version of an event than this program knows
    ├── Retriable                       a service is unavailable: the same is tried again
    │   └── StoreUnavailable            models.stores.errors: a scan's store does not deliver it now
    ├── InvalidRecord                   schemas.codec: a record that can never be used; it becomes a dead letter
    ├── UnpackableBatch                 stream.search: a compressed batch of a topic that nobody here can read
    ├── SnapshotRefused                 a snapshot that is damaged, or was made with other parameters
    ├── LocalServiceError               local.errors: an embedded service is unavailable
    │   └── KilledWhileStarting         local.errors: it was killed before it answered; another start may succeed
    ├── CatalogueError                  catalogue.errors: the database or the request cannot be used
    │   └── CatalogueUnavailable        catalogue.errors: PostgreSQL does not answer now
    ├── UnavailableImage                models.stores.errors: the image of a scan is not there, or must not be read
    │   ├── ChangedImage                models.scan_image: the file is not the one that was published
    │   └── UnknownStore                models.stores.errors: uris of this scheme are not read
    ├── UnreadableImage                 models.pixels: the bytes are not an image that can be read
    ├── WeightsError                    models.weights: a weight file is missing, or is not the one that is expected
    │   └── WrongOutputs                models.point_detector: a network's outputs are not those of its description
    ├── WrongEmbedding                  models.described_embedder: a network's output is no embedding
    └── EngineError                     models.onnx_session: the networks cannot be loaded here
        └── NetworkFailed               models.onnx_session: a network failed while it computed

A consumer distinguishes three kinds: retriable (wait, try the same again), invalid (dead letter, go on) and fatal
(stop).
"""

from __future__ import annotations


class FacestreamError(Exception):
    """The base of all errors that are reported in one line. Only its subclasses are raised."""


class UserError(FacestreamError):
    """An option, a path or a manifest that a person gave cannot be used. The text says which, why, and what to do."""


class Retriable(FacestreamError):
    """A service is unavailable: wait and try the same again. Nothing of this batch has taken effect."""


class Fatal(FacestreamError):
    """This process cannot continue. It stops, and has committed nothing of the batch."""


class SnapshotRefused(FacestreamError):
    """A snapshot that is not used: damaged, or made with other parameters. The text says which and why."""
