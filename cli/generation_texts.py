"""The parameters of generations, as a person reads them."""

from __future__ import annotations

from schemas.generations import GenerationParameters


def described(parameters: GenerationParameters) -> str:
    """Those that are set, each with its name."""
    return ", ".join(f"{name} {value}" for name, value in _shown(parameters).items() if value is not None)


def different(one: GenerationParameters, other: GenerationParameters) -> str:
    """Those of `other` that are not the same in `one`."""
    values, others = _shown(one), _shown(other)
    changed = [f"{name} {value}" for name, value in others.items() if values[name] != value]
    return ", ".join(changed) or "it reads another topic, or begins at another offset"


def _shown(parameters: GenerationParameters) -> dict[str, object]:
    """By name; of an embedder, its id."""
    embedder = parameters.embedder and parameters.embedder.id
    return parameters.model_dump(exclude={"embedder"}) | {"embedder": embedder}
