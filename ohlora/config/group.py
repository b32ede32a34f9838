"""All options of the model group, for the tables that list every model."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import OmegaConf

from ohlora.config.paths import conf_dir, options
from ohlora.config.schema import ModelConfig

OPEN = ("hub", "local")  # placeholders for any model


def list_models(own: ModelConfig) -> Iterator[ModelConfig]:
    """The model of this run, then every other option of the group as its file defines it."""
    yield own
    for option in options("model"):
        if option in (own.name, *OPEN):
            continue
        loaded = OmegaConf.load(conf_dir() / "model" / f"{option}.yaml")
        model = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(ModelConfig), loaded))
        assert isinstance(model, ModelConfig)
        yield model
