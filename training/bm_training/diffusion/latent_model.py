"""Conditional autoencoder between a tracker's reference and its action: z = E(reference), a = D(z, proprioception).

Source: BeyondMimic v4, Table S6 (z 32, MLPs 2048-1024-512, KL to a unit normal). Here the encoder also sees the window
of future frames, as the tracker does, and the decoder no linear velocity, which takes an estimator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_core.observation_terms import NUM_JOINTS, ObservationTerm
from bm_training.require import require
from bm_training.tracking.checkpoint import find_checkpoint, load_checkpoint

KIND = "latent"
_FELT = {"base_ang_vel": 3, "joint_pos": NUM_JOINTS, "joint_vel": NUM_JOINTS, "actions": NUM_JOINTS}
PROPRIOCEPTION = (
    ObservationTerm(name="projected_gravity", dim=3),
    *(ObservationTerm(name=name, dim=dim) for name, dim in _FELT.items()),
)
"""What the decoder sees beside z, in this order: 93 numbers."""
_NOT_REFERENCE = {*_FELT, "base_lin_vel"}


@dataclass(frozen=True, kw_only=True)
class LatentConfig:
    """Sizes."""

    latent: int = 32
    hidden: tuple[int, ...] = (2048, 1024, 512)
    """Of encoder and decoder"""

    def __post_init__(self) -> None:
        require(self.latent >= 1, "latent", self.latent, ">= 1")
        require(bool(self.hidden) and min(self.hidden) >= 1, "hidden", str(self.hidden), "at least one positive size")


class ActionAutoencoder(nn.Module):
    """Both halves, with the scaling of their inputs inside."""

    def __init__(self, config: LatentConfig, layout: Sequence[tuple[str, int]]) -> None:
        """`layout`: names and sizes of the tracker's observation."""
        super().__init__()
        self.config, self.layout = config, tuple((str(name), int(size)) for name, size in layout)
        places = _places(self.layout)
        missing = sorted(set(_FELT) - set(places))
        if missing:
            raise ConfigError(f"latent: the tracker does not see {missing[0]}, which the decoder needs")
        reference = [place for name, place in places.items() if name not in _NOT_REFERENCE]
        felt = [places[name] for name in _FELT]
        self.register_buffer("reference_index", torch.cat([torch.arange(*place) for place in reference]))
        self.register_buffer("felt_index", torch.cat([torch.arange(*place) for place in felt]))
        seen, width = len(self.reference_index), 3 + len(self.felt_index)
        for name, size in (("reference", seen), ("felt", width)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_std", torch.ones(size))
        self.encoder = _mlp(seen, config.hidden, 2 * config.latent)
        self.decoder = _mlp(config.latent + width, config.hidden, len(G1.joint_names))

    def scale_as(self, mean: Tensor, std: Tensor) -> None:
        """Take over the tracker's scaling of its observation (O,)."""
        for name, index in (("reference", self.reference_index), ("felt", self.felt_index)):
            start = len(getattr(self, f"{name}_mean")) - len(index)  # gravity comes first and is about 1 already
            getattr(self, f"{name}_mean")[start:] = mean[index]
            getattr(self, f"{name}_std")[start:] = std[index].clamp(min=1e-2)

    def reference(self, observation: Tensor) -> Tensor:
        """(E, O) of the tracker -> what the encoder sees."""
        return observation[:, self.reference_index]

    def proprioception(self, observation: Tensor, gravity: Tensor) -> Tensor:
        """(E, O) of the tracker, (E, 3) unit gravity in the pelvis frame -> (E, 93) in the order of PROPRIOCEPTION."""
        return torch.cat([gravity, observation[:, self.felt_index]], dim=-1)

    def encode(self, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of z, (E, 32) each."""
        mean, log_var = self.encoder((reference - self.reference_mean) / self.reference_std).chunk(2, dim=-1)
        return mean, log_var.clamp(-10.0, 4.0)

    def decode(self, z: Tensor, proprioception: Tensor) -> Tensor:
        """(E, 29) network units."""
        return self.decoder(torch.cat([z, (proprioception - self.felt_mean) / self.felt_std], dim=-1))


class LatentDecoder(nn.Module):
    """`decode` as a module, for the exporter: inputs z (B, 32) and obs (B, 93), output actions (B, 29)."""

    def __init__(self, model: ActionAutoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, obs: Tensor) -> Tensor:
        return self.model.decode(z, obs)


def latent_document(model: ActionAutoencoder) -> dict[str, Any]:
    """What `latent_from_document` reads: config, layout, weights."""
    return {"config": dataclasses.asdict(model.config), "layout": model.layout, "weights": model.state_dict()}


def latent_from_document(document: dict[str, Any], device: str) -> ActionAutoencoder:
    """For use, not for training."""
    model = ActionAutoencoder(LatentConfig(**document["config"]), document["layout"])
    model.load_state_dict(document["weights"])
    return model.to(device).eval().requires_grad_(False)


def read_latent(run_or_file: Path, device: str) -> dict[str, Any]:
    """The document of a run or checkpoint of `bm train latent`. ConfigError for something else."""
    path = find_checkpoint(run_or_file)
    state = load_checkpoint(path, device)
    if state.get("kind") != KIND:
        raise ConfigError(f"{path.name}: not a checkpoint of bm train latent")
    return state["latent"]


def _places(layout: Sequence[tuple[str, int]]) -> dict[str, tuple[int, int]]:
    places, start = {}, 0
    for name, size in layout:
        places[name] = (start, start + size)
        start += size
    return places


def _mlp(inputs: int, hidden: tuple[int, ...], outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), nn.ELU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))
