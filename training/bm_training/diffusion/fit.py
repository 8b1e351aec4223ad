"""A model's spec from its data: scaling, emphasis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch

from bm_core.diffusion.emphasis import no_emphasis, random_emphasis
from bm_core.diffusion.mirror import action_mirror, state_mirror
from bm_core.diffusion.normaliser import Normaliser
from bm_core.diffusion.spec import DiffusionSpec, EmphasisSpec, NormaliserSpec, SamplerSpec
from bm_core.diffusion.state import state_slices
from bm_core.g1 import G1
from bm_training.diffusion.windows import Windows
from bm_training.require import require

_WINDOWS = 16_384
"""For percentiles and ranges: 340 000 tokens, 0.2 GB."""


@dataclass(frozen=True, kw_only=True)
class SpecConfig:
    """What is chosen, not measured."""

    levels: int = 20
    emphasis: Literal["symmetric", "random", "none"] = "symmetric"
    emphasis_factor: float = 6.0
    """Of the root's numbers inside the mixtures (BeyondMimic v4; the authors' earlier code 4)."""
    seed: int = 0
    """Of the emphasis and of the windows that are looked at."""

    def __post_init__(self) -> None:
        is_factor = 0.0 < self.emphasis_factor < math.inf
        require(is_factor, "emphasis_factor", self.emphasis_factor, "a number above 0")


def fit_spec(windows: Windows, config: SpecConfig) -> DiffusionSpec:
    """Scaling from the training windows and their mirror images."""
    layout, representation = windows.layout, windows.representation
    generator = torch.Generator(device=windows.device).manual_seed(config.seed)
    batch = windows.draw(min(_WINDOWS, 4 * len(windows)), generator)
    states, actions = (values.flatten(0, 1).double().cpu().numpy() for values in (batch.states, batch.actions))
    is_joint = layout.step_width == len(G1.joint_names)
    mirror = state_mirror(representation)
    return DiffusionSpec(
        state=representation.value,
        action="joint" if is_joint else "latent",
        layout=layout,
        levels=config.levels,
        states=NormaliserSpec.of(Normaliser.fit(states, mirror)),
        actions=NormaliserSpec.of(Normaliser.fit(actions, action_mirror(layout) if is_joint else None)),
        emphasis=_emphasis(config, windows),
        sampler=SamplerSpec(passes=config.levels),
    )


def _emphasis(config: SpecConfig, windows: Windows) -> EmphasisSpec:
    places = state_slices(windows.representation)
    if config.emphasis == "none":
        return EmphasisSpec.of(no_emphasis(places.width), seed=config.seed)
    mirror = state_mirror(windows.representation) if config.emphasis == "symmetric" else None
    emphasis = random_emphasis(places.width, places.root, config.emphasis_factor, config.seed, mirror)
    return EmphasisSpec.of(emphasis, seed=config.seed)
