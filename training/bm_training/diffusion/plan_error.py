"""How far whole sampled plans are from what really followed: the loss of single passes does not tell."""

from __future__ import annotations

import torch

from bm_core.diffusion.requests import cold_request
from bm_core.diffusion.sampler import SamplerNoise
from bm_core.diffusion.spec import DiffusionSpec
from bm_core.diffusion.state import state_slices
from bm_training.diffusion.model import TokenTransformer
from bm_training.diffusion.sampler import TorchDenoiser, draw_noise, torch_sampler
from bm_training.diffusion.windows import WindowBatch

_FIRST = 2
"""Action tokens from the present on: what is run before the next plan is there."""


@torch.no_grad()
def plan_errors(
    model: TokenTransformer, spec: DiffusionSpec, windows: WindowBatch, generator: torch.Generator
) -> dict[str, float]:
    """Of plans from nothing but the history: the first actions in network units, velocity and path of the pelvis."""
    layout, present = spec.layout, spec.layout.present
    device = windows.states.device
    request = cold_request(layout, windows.states[:, : present + 1], windows.actions[:, :present], spec.levels)
    sampler = torch_sampler(spec, device)
    noise: SamplerNoise = draw_noise(sampler, len(windows.states), layout.tokens, generator)
    states, actions = sampler.sample(TorchDenoiser(model), request, noise)
    places = state_slices(spec.representation)
    wrong = windows.states[:, -1] - states[:, -1]
    first = slice(present, present + _FIRST)
    measured = {
        "plan/action_rms": (windows.actions[:, first] - actions[:, first]).square().mean().sqrt(),
        "plan/velocity_rms": wrong[:, places.root_lin_vel][:, :2].square().sum(-1).mean().sqrt(),
        "plan/path_rms": wrong[:, places.root_pos][:, :2].square().sum(-1).mean().sqrt(),
    }
    return dict(zip(measured, torch.stack(list(measured.values())).tolist(), strict=True))
