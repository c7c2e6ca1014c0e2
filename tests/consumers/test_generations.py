"""What a generation clusters with follows from the settings, or is refused in one line."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from cli.common import euclidean_thresholds
from consumers import references
from consumers.generations import check_embedder_of, embedder_of, parameters_of, settings_for, settings_of
from errors import Fatal, UserError
from producers.generations import definition
from schemas.codec import InvalidRecord, decode, encode
from schemas.generations import GenerationDefined, State
from schemas.topics import FACES, GENERATIONS, NEIGHBOURS, Record, of_generation
from settings import ClusteringSettings, ModelSettings, Settings
from stream.generations import Generations
from stream.stages import consumers_of, stages_with
from tests.builders import networks
from tests.builders.any_records import altered
from tests.builders.archive_history import found
from tests.builders.clock import NOON


@pytest.mark.parametrize("value", [1e12, float("nan")])
def test_a_setting_that_no_record_can_hold_is_one_line(value: float) -> None:
    with pytest.raises(UserError, match=r"^min_size_px of the clustering: Input should be "):
        parameters_of(ClusteringSettings().model_copy(update={"min_size_px": value}))


def test_settings_that_exclude_each_other_are_one_line() -> None:
    with pytest.raises(UserError, match=r"^the clustering: eps 0\.5 is not above 0 and up to eps_max, 0\.4$"):
        parameters_of(ClusteringSettings().model_copy(update={"eps": 0.5, "eps_max": 0.4}))


DEFINED = definition("green", parameters_of(ClusteringSettings()), State.BUILT, NOON)


@pytest.mark.parametrize("change", [{"eps": 0}, {"eps": 0.6, "eps_max": 0.5}, {"eps": 0, "eps_max": 0}])
def test_a_definition_with_thresholds_that_no_settings_have_is_no_event(change: dict[str, float]) -> None:
    parameters = DEFINED.parameters.model_copy(update=change)
    record = encode(DEFINED.model_copy(update={"parameters": parameters}), event_id="1", time=NOON)
    with pytest.raises(InvalidRecord, match="is not above 0 and up to eps_max"):
        decode(GENERATIONS, record)


@hypothesis_settings(max_examples=300, deadline=None)
@given(record=altered(DEFINED))
def test_every_definition_that_can_be_read_can_be_set(record: Record) -> None:
    with suppress(InvalidRecord):
        defined = decode(GENERATIONS, record)
        if isinstance(defined, GenerationDefined):
            settings_of(Settings(), defined)


@pytest.mark.parametrize(("reference", "distance"), [(None, "euclidean"), ("a", "calibrated")])
def test_a_generation_does_not_cluster_by_distances_of_another_kind(
    reference: str | None, distance: Literal["euclidean", "calibrated"], monkeypatch: pytest.MonkeyPatch
) -> None:
    last = found(random.Random(1), 1).model_copy(update={"reference": reference})
    monkeypatch.setattr(references, "last_published", lambda _: last)
    own = Settings(clustering=ClusteringSettings(distance=distance))
    references.check_distance(own, "green")
    other = Settings(clustering=ClusteringSettings(distance="calibrated" if distance == "euclidean" else "euclidean"))
    with pytest.raises(Fatal, match=rf"^the generation green .* the index publishes {distance} ones now"):
        references.check_distance(other, "green")


def test_by_euclidean_distance_an_embedder_has_the_thresholds_of_its_description(tmp_path: Path) -> None:
    assert euclidean_thresholds(ModelSettings()) == {}
    network = networks.embedder(tmp_path / "net.onnx")
    embedder = str(networks.described(tmp_path, network, networks.EMBEDDER))
    assert euclidean_thresholds(ModelSettings(embedder=embedder)) == {"eps": 0.3, "eps_max": 0.5}


def test_a_generation_with_an_embedder_of_its_own_has_all_consumers_and_its_settings(tmp_path: Path) -> None:
    settings = Settings(models=ModelSettings(embedder_path=tmp_path / "of-dlib.dat"))
    network = networks.embedder(tmp_path / "net.onnx")
    file = networks.described(tmp_path, network, networks.EMBEDDER)
    own = embedder_of(settings, str(file))
    assert (own.dimension, own.eps, own.eps_max) == (16, 0.3, 0.5)
    parameters = parameters_of(ClusteringSettings()).model_copy(update={"embedder": own})
    topics = of_generation(NEIGHBOURS, "green"), of_generation(FACES, "green")
    defined = definition("green", parameters, State.BUILT, NOON, 0, *topics)
    generations = Generations({"green": defined})
    assert consumers_of(generations.neighbours("green"), generations.faces("green")) == [
        "detect",
        "index",
        "cluster",
        "catalogue",
    ]
    stages = {name: [one.name for one in read] for name, read in stages_with(generations).items() if "green" in name}
    assert stages == {
        "detect-green": ["faces"],
        "index-green": ["faces-green"],
        "cluster-green": ["neighbours-green", "labels"],
        "catalogue-green": ["faces-green", "assignments-green", "clusters-green"],
    }
    models = settings_for(settings, generations, "green").models
    assert (models.embedder, models.embedder_path) == (str(file), None)
    assert settings_for(settings, generations, "blue") == settings
    check_embedder_of(settings, defined)
    file.write_text(file.read_text(encoding="utf-8").replace("flip = true", "flip = false"), encoding="utf-8")
    with pytest.raises(UserError, match=f"^the generation green is of the embedder {own.id}, and .* describes small-"):
        check_embedder_of(settings, defined)
