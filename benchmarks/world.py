"""Synthetic people whose faces have the statistics of a set of real embeddings: `python -m benchmarks.world SET.npz`.

What makes an archive hard are the strangers that are near: how many pairs of them there are within 0.37, 0.42 and 0.5
(the *tail*), *hubs*, which are near to many (Radovanović et al. 2010), and how far apart the faces of one person are. A
world has about those of its set, and any number of people. It is a few matrices of sums over all of the set, in
`benchmarks/worlds/`, and holds nobody's embedding.

Without options the command prints them side by side, for the set and for archives made of its world, in which everybody
has two faces: pairs of two people with many faces each would count too much. `--fit` first fits the world again to
the set, which takes some minutes; `--within OTHER.npz` takes the spread within a person from another set, for a set
that has nobody twice.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize

from benchmarks.quality import load as load_set
from calibration.distances import block_distances

Array = npt.NDArray[np.float64]
People = npt.NDArray[np.int64]

WORLDS = Path(__file__).parent / "worlds"
RADII = (0.37, 0.42, 0.5)
_TYPES = 2_000
_LEAN = (0.8, 0.98)
_AT_ONCE = 2_000
_FITTED_ON = 8_000
_NEAREST = 10
_AMONG = 2_000
_MOST_FREQUENT = 0.05


@dataclass(frozen=True)
class World:
    """The distribution of people, and of the faces of one of them.

    mean, shape (d,): of all faces. axes, shape (d, d), and variances, shape (d,): the principal axes of people, and
    their variances along them. within, shape (d, d): the square root of the covariance of one person's faces, scaled to
    a spread of 1. spread, shape (2,): mean and standard deviation of the logarithm of a person's spread. unevenness:
    the standard deviation of the logarithm of how far a face is from its person, relative to that.

    steepness, size, radius, alike are fitted to the tail and the hubs of the set: the power that the variances are
    raised to, the factor of all distances between people, the standard deviation of the logarithm of a person's
    distance from the mean, and the share of people who resemble one of 2,000 types.
    """

    mean: Array
    axes: Array
    variances: Array
    within: Array
    spread: Array
    unevenness: float
    steepness: float = 1.0
    size: float = 1.0
    radius: float = 0.05
    alike: float = 0.3

    def people(self, n: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """The centres of n people, shape (n, d), and their spreads, shape (n,)."""
        d = len(self.mean)
        coordinates = generator.normal(size=(n, d))
        types = np.random.default_rng(99).normal(size=(_TYPES, d))
        typical = np.flatnonzero(generator.random(n) < self.alike)
        lean = generator.uniform(*_LEAN, size=(len(typical), 1))
        own = np.sqrt(1 - lean**2) * coordinates[typical]
        coordinates[typical] = lean * types[generator.integers(0, _TYPES, len(typical))] + own
        variances = (self.variances / self.variances[0]) ** self.steepness
        variances *= self.size**2 * self.variances.sum() / variances.sum()
        centres = coordinates * np.sqrt(variances)
        radii = np.exp(self.radius * np.clip(generator.normal(size=n), -2, 2)) * np.sqrt(variances.sum())
        centres *= (radii / np.linalg.norm(centres, axis=1))[:, None]
        spreads = np.exp(self.spread[0] + self.spread[1] * generator.normal(size=n))
        return self.mean + centres @ self.axes.T, spreads

    def faces(self, centres: Array, spreads: Array, generator: np.random.Generator) -> npt.NDArray[np.float32]:
        """A face for each of these centres and spreads: float32, shape (n, d)."""
        n, d = centres.shape
        distance = spreads * np.exp(self.unevenness * generator.normal(size=n) - self.unevenness**2)
        faces: Array = centres + generator.normal(size=(n, d)) @ self.within * distance[:, None]
        return faces.astype(np.float32)

    def sample(self, people: People, seed: int) -> npt.NDArray[np.float32]:
        """A face for each of these numbers of people, from 0 on without a gap: float32, shape (n, d)."""
        generator = np.random.default_rng(seed)
        centres, spreads = self.people(int(people.max()) + 1, generator)
        return self.faces(centres[people], spreads[people], generator)

    def save(self, path: Path) -> None:
        """Write the world, in single precision."""
        values: dict[str, Any] = {name: np.float32(value) for name, value in asdict(self).items()}
        np.savez_compressed(path, **values)


def load(name: str) -> World:
    """A world of `benchmarks/worlds/`: lfw_dev, lfw_dev_faded or archival_portraits. Raises FileNotFoundError."""
    with np.load(WORLDS / f"{name}.npz") as stored:
        values: dict[str, Any] = {field.name: stored[field.name].astype(np.float64) for field in fields(World)}
    values |= {name: float(value) for name, value in values.items() if value.ndim == 0}
    return World(**values)


@dataclass(frozen=True)
class Statistics:
    """What a world shares with its set.

    tail: the shares of pairs of strangers within each of RADII. hubs: of all places among the 10 nearest of a face, the
    share that the 5 % of faces have which are there most often. within: the 5th, 50th and 95th percentile of the
    distance between two faces of a person; empty where nobody has two.
    """

    faces: int
    tail: tuple[float, ...]
    hubs: float
    within: tuple[float, ...]


def statistics(vectors: npt.NDArray[np.float32], people: People) -> Statistics:
    """Those of a set: float32, shape (n, d), and whose face each is, shape (n,). Takes time with the square of n."""
    return Statistics(len(vectors), tail(vectors, people), hubs(vectors, people), _within(vectors, people))


def tail(vectors: npt.NDArray[np.float32], people: People) -> tuple[float, ...]:
    """The shares of pairs of strangers within each of RADII."""
    near, pairs = np.zeros(len(RADII)), 0
    for start in range(0, len(vectors), _AT_ONCE):
        distances = block_distances(vectors[start : start + _AT_ONCE], vectors[start:])
        strangers = people[start : start + _AT_ONCE, None] != people[None, start:]
        strangers &= np.triu(np.ones(strangers.shape, dtype=np.bool_), 1)
        found = distances[strangers]
        pairs += len(found)
        near += [(found <= radius).sum() for radius in RADII]
    return tuple((near / pairs).tolist())


def hubs(vectors: npt.NDArray[np.float32], people: People) -> float:
    """The share of the most frequent neighbours, among one face each of up to 2,000 people."""
    one_each = np.random.default_rng(0).permutation(np.unique(people, return_index=True)[1])[:_AMONG]
    distances = block_distances(vectors[one_each], vectors[one_each])
    np.fill_diagonal(distances, np.inf)
    nearest = np.argpartition(distances, _NEAREST, axis=1)[:, :_NEAREST]
    occurrences = np.sort(np.bincount(nearest.ravel(), minlength=len(one_each)))[::-1]
    return float(occurrences[: round(_MOST_FREQUENT * len(one_each))].sum() / occurrences.sum())


def fit(vectors: npt.NDArray[np.float32], people: People, within_of: tuple[npt.NDArray[np.float32], People]) -> World:
    """The world of a set; the spread within a person is that of `within_of`."""
    world = _unfitted(vectors.astype(np.float64), people, within_of[0].astype(np.float64), within_of[1])
    wanted = np.log(np.maximum([*tail(vectors, people), hubs(vectors, people)], 1e-7))
    importance = np.array([0.7, 1.0, 1.0, 0.5])
    strangers = np.arange(_FITTED_ON)

    def with_values(values: Array) -> World:
        steepness, radius, size, alike = values.tolist()
        return replace(world, steepness=steepness, radius=abs(radius), size=size, alike=min(max(alike, 0.0), 1.0))

    def difference(values: Array) -> float:
        made = with_values(values).sample(strangers, seed=7)
        found = np.log(np.maximum([*tail(made, strangers), hubs(made, strangers)], 1e-8))
        return float((importance * (found - wanted) ** 2).sum())

    start = np.array([1.0, 0.05, 0.97, 0.3])
    simplex = start + np.vstack([np.zeros(4), np.diag([-0.2, -0.05, -0.07, 0.4])])
    best = minimize(difference, start, method="Nelder-Mead", options={"maxfev": 60, "initial_simplex": simplex})
    return with_values(best.x)


def _unfitted(vectors: Array, people: People, within_vectors: Array, within_people: People) -> World:
    deviations, spreads = _deviations(within_vectors, within_people)
    one_each = vectors[np.unique(people, return_index=True)[1]]
    total, axes = np.linalg.eigh(np.cov(one_each.T))
    covariance = np.cov(deviations.T)
    # What the faces' own spread adds to the variance is taken off; something is always left.
    own = np.einsum("ij,jk,ki->i", axes.T, covariance * (spreads**2).mean(), axes)
    variances = np.maximum(total - own, 0.02 * np.maximum(total, 1e-9))
    values, vectors_of = np.linalg.eigh(covariance)
    return World(
        mean=one_each.mean(axis=0),
        axes=axes[:, ::-1],
        variances=variances[::-1],
        within=(vectors_of * np.sqrt(np.maximum(values, 0))) @ vectors_of.T,
        spread=np.array([np.log(spreads).mean(), np.log(spreads).std()]),
        unevenness=float(np.log(np.linalg.norm(deviations, axis=1)).std()),
    )


def _deviations(vectors: Array, people: People) -> tuple[Array, Array]:
    """Of people with four faces or more: up to eight faces' deviations for a spread of 1, and the spreads."""
    deviations, spreads = [], []
    for person in np.flatnonzero(np.bincount(people) >= 4):
        faces = vectors[people == person]
        own = (faces - faces.mean(axis=0)) * np.sqrt(len(faces) / (len(faces) - 1))
        spread = np.sqrt((own**2).sum(axis=1).mean())
        spreads.append(spread)
        deviations.append(own[:8] / spread)
    return np.concatenate(deviations), np.array(spreads)


def _within(vectors: npt.NDArray[np.floating], people: People) -> tuple[float, ...]:
    order = np.argsort(people, kind="stable")
    found = []
    for faces in np.split(order, np.flatnonzero(np.diff(people[order])) + 1)[:3_000]:
        chosen = vectors[faces[:6]].astype(np.float64)
        first, second = np.triu_indices(len(chosen), 1)
        found.append(np.linalg.norm(chosen[first] - chosen[second], axis=1))
    distances = np.concatenate(found)
    return tuple(np.quantile(distances, [0.05, 0.5, 0.95]).tolist()) if len(distances) else ()


def main() -> None:
    """Print, or fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path, help="its world is called as it is")
    parser.add_argument("--fit", action="store_true", help="fit the world again")
    parser.add_argument("--within", type=Path, help="the set that says how far apart a person's faces are")
    parser.add_argument("--faces", type=int, nargs="+", default=[5_000, 20_000], help="of the archives that are made")
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    arguments = parser.parse_args()
    try:
        of = load_set(arguments.set)
        donor = load_set(arguments.within) if arguments.within else of
        if arguments.fit:
            fit(of.vectors, of.people, (donor.vectors, donor.people)).save(WORLDS / f"{arguments.set.stem}.npz")
        world = load(arguments.set.stem)
    except (OSError, KeyError, ValueError) as error:
        sys.exit(f"world: not a set of embeddings E and names F, or one without a world: --fit makes it ({error})")
    vectors, people = of.vectors, of.people
    rows = {arguments.set.stem: statistics(vectors, people)}
    for seed, faces in enumerate(arguments.faces, start=1):
        made = np.repeat(np.arange(faces // 2), 2)
        rows[f"made {faces:,}"] = statistics(world.sample(made, seed), made)
    table = Table("", *(f"strangers within {radius}" for radius in RADII), "hubs", "within 5 %", "50 %", "95 %")
    for name, row in rows.items():
        if arguments.json:
            print(json.dumps({"of": name, **asdict(row)}))
        table.add_row(name, *(f"{it:.2g}" for it in row.tail), f"{row.hubs:.2f}", *(f"{it:.3f}" for it in row.within))
    if not arguments.json:
        Console(width=120).print(table)


if __name__ == "__main__":
    main()
