"""Everything that a diffusion model's tokens mean: written by training, carried by the bundle's contract."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bm_core import strict_json
from bm_core.diffusion.attention import ActionContext
from bm_core.diffusion.codec import TokenCodec
from bm_core.diffusion.emphasis import Emphasis, no_emphasis
from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.normaliser import Normaliser
from bm_core.diffusion.sampler import Sampler
from bm_core.diffusion.schedule import cosine_alpha_bar, step_tables
from bm_core.diffusion.state import StateRepresentation, state_slices
from bm_core.errors import BundleError
from bm_core.g1 import TARGET_BODIES

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class NormaliserSpec:
    """Fields of Normaliser as lists."""

    offset: tuple[float, ...]
    scale: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def of(cls, normaliser: Normaliser) -> NormaliserSpec:
        return cls(**{name: tuple(np.asarray(value, dtype=float).tolist()) for name, value in vars(normaliser).items()})

    @property
    def arrays(self) -> Normaliser:
        return Normaliser(**{name: np.array(value) for name, value in vars(self).items()})


@dataclass(frozen=True, kw_only=True)
class EmphasisSpec:
    """Fields of Emphasis as lists; the numbers count, the seed only says where they are from."""

    mixture: tuple[tuple[float, ...], ...]
    """Rows of A; none without emphasis."""
    weight: tuple[float, ...]
    """Diagonal of B"""
    seed: int

    @classmethod
    def of(cls, emphasis: Emphasis, seed: int) -> EmphasisSpec:
        rows = tuple(tuple(row) for row in emphasis.mixture.tolist())
        return cls(mixture=rows, weight=tuple(emphasis.weight.tolist()), seed=seed)

    @property
    def arrays(self) -> Emphasis:
        if not self.mixture:
            return no_emphasis(len(self.weight))
        return Emphasis(mixture=np.array(self.mixture), weight=np.array(self.weight))


@dataclass(frozen=True, kw_only=True)
class SamplerSpec:
    """How the model is to be sampled; tuned in closed loop, not by training."""

    passes: int = 20
    """Network passes; with action_passes those on the states alone."""
    action_passes: int = 0
    """0: states and actions together."""
    eta: float = 1.0
    """1 DDPM, 0 DDIM."""
    warm_state_level: int = 14
    """Level to which the last plan's states are re-noised; the number of levels starts cold."""
    warm_action_level: int = 11
    most_committed: int = strict_json.younger(1)
    """Action tokens of the last plan that are kept at most, of those that the robot will have run before the new plan
    arrives. Two make a late model fall, even one that was trained to continue them."""
    history_action_level: int = strict_json.younger(0)
    """Level to which the actions of the history are re-noised: 0 they are given, the number of levels they are not.
    A model of latents that sees what it did goes on with it, whatever its states are pulled to."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class DiffusionSpec:
    """One model's tokens, scaling, noise and sampling."""

    schema_version: int = SCHEMA_VERSION
    state: str = StateRepresentation.BODY_POS.value
    """A StateRepresentation."""
    action: str = "joint"
    """joint: network action of a tracker; latent: z of the decoder graph."""
    action_context: str = ActionContext.PAST.value
    """An ActionContext."""
    body_names: tuple[str, ...] = TARGET_BODIES
    """Bodies of a Body-Pos state, in order."""
    layout: TokenLayout
    levels: int = 20
    """K of the cosine schedule"""
    states: NormaliserSpec
    actions: NormaliserSpec
    emphasis: EmphasisSpec
    sampler: SamplerSpec

    def __post_init__(self) -> None:
        if self.state not in [kind.value for kind in StateRepresentation]:
            raise BundleError(f"diffusion.state is '{self.state}': body_pos and joint_rot are known")
        if self.action not in ("joint", "latent"):
            raise BundleError(f"diffusion.action is '{self.action}': joint and latent are known")
        if self.action_context not in [kind.value for kind in ActionContext]:
            raise BundleError(f"diffusion.action_context is '{self.action_context}': past and all are known")
        if self.body_names != TARGET_BODIES:
            raise BundleError("diffusion.body_names are not the 14 target bodies of this program, in its order")
        widths = {"states": state_slices(self.representation).width, "actions": self.layout.action_width}
        for name, width in widths.items():
            for key, values in vars(getattr(self, name)).items():
                if len(values) != width:
                    raise BundleError(f"diffusion.{name}.{key} holds {len(values)} numbers, {width} expected")
        if {len(row) for row in (*self.emphasis.mixture, self.emphasis.weight)} != {widths["states"]}:
            raise BundleError(f"diffusion.emphasis: rows and weight must hold {widths['states']} numbers")
        self._check_sampler()

    def _check_sampler(self) -> None:
        """Without a pass a plan would be the noise that it starts from; beyond these levels there is no noise."""
        sampler = self.sampler
        if sampler.passes < 1 or sampler.action_passes < 0:
            raise BundleError(
                f"diffusion.sampler: {sampler.passes} passes and {sampler.action_passes} action_passes: "
                "at least 1 and 0 expected"
            )
        if not 0.0 <= sampler.eta <= 1.0:
            raise BundleError(f"diffusion.sampler.eta = {sampler.eta}: 0 (DDIM) to 1 (DDPM) expected")
        if not 0 <= sampler.most_committed < self.layout.supervised:
            raise BundleError(
                f"diffusion.sampler.most_committed = {sampler.most_committed}: "
                f"0 to {self.layout.supervised - 1} expected"
            )
        for name in ("warm_state_level", "warm_action_level", "history_action_level"):
            if not 0 <= getattr(sampler, name) <= self.levels:
                raise BundleError(f"diffusion.sampler.{name} = {getattr(sampler, name)}: 0 to {self.levels} expected")

    @property
    def representation(self) -> StateRepresentation:
        return StateRepresentation(self.state)

    @property
    def context(self) -> ActionContext:
        return ActionContext(self.action_context)

    @cached_property
    def state_codec(self) -> TokenCodec:
        """NumPy."""
        return TokenCodec.of(self.states.arrays, self.emphasis.arrays)

    @cached_property
    def action_codec(self) -> TokenCodec:
        """NumPy."""
        return TokenCodec.of(self.actions.arrays)

    def reference_sampler(self) -> Sampler:
        """The NumPy loop with this model's settings."""
        return Sampler(
            state_codec=self.state_codec,
            action_codec=self.action_codec,
            tables=step_tables(cosine_alpha_bar(self.levels), self.sampler.eta),
            passes=self.sampler.passes,
            action_passes=self.sampler.action_passes,
        )

    def kept_tokens(self, committed: int) -> int:
        """Action tokens of the last plan to keep where the robot will have run so many more control steps of it."""
        return min(-(-committed // self.layout.steps_per_token), self.sampler.most_committed)

    def to_json(self) -> str:
        """One JSON document; equal specs give equal text."""
        return strict_json.dump(self)

    @classmethod
    def from_json(cls, text: str, where: str = "diffusion spec") -> DiffusionSpec:
        """Read what `to_json` wrote. BundleError for another schema, a missing, unknown or mistyped key."""
        return spec_from_dict(strict_json.parse_object(text, where), where)


def spec_from_dict(data: dict[str, Any], where: str) -> DiffusionSpec:
    """Like DiffusionSpec.from_json for an already parsed document."""
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        raise BundleError(f"{where}: schema_version is {version!r}, {SCHEMA_VERSION} expected; export the model again")
    return strict_json.build(DiffusionSpec, data, where)
