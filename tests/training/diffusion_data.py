"""Small diffusion data for the tests: rollouts of the squat clip, a tiny model on them."""

import dataclasses
import functools

import numpy as np
from squat_motion import squat

from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.state import StateRepresentation
from bm_core.motion import clip_from_qpos

STEPS = 60


@functools.cache
def clip():
    return clip_from_qpos("squat", *squat(frames=121), 30.0)


def rollouts(episodes=6, seed=0):
    from bm_training.diffusion.synthetic import rollouts_from_clips

    return rollouts_from_clips([clip()], episodes, STEPS, seed)


def windows(representation=StateRepresentation.BODY_POS, layout=None, episodes=6):
    from bm_training.diffusion.windows import Windows

    return Windows(rollouts(episodes), np.arange(episodes), layout or TokenLayout(), representation, "cpu")


@functools.cache
def tiny_spec(**sampler):
    from bm_training.diffusion.fit import SpecConfig, fit_spec

    return fit_spec(windows(), SpecConfig())


def tiny_model(seed=0, size="tiny"):
    import torch

    from bm_training.diffusion.model import MODELS, TokenTransformer

    torch.manual_seed(seed)
    model = TokenTransformer(MODELS[size], tiny_spec()).eval().requires_grad_(False)
    # A fresh position table is so small that wrong positions would hardly show.
    model.positions.normal_()
    return model


def latent_spec():
    """The tiny spec with actions in a latent space of 32 numbers."""
    from bm_core.diffusion.spec import NormaliserSpec

    layout = dataclasses.replace(tiny_spec().layout, step_width=32)
    flat = {"offset": (0.0,) * 64, "scale": (1.0,) * 64, "low": (-4.0,) * 64, "high": (4.0,) * 64}
    return dataclasses.replace(tiny_spec(), action="latent", layout=layout, actions=NormaliserSpec(**flat))


def save_run(folder, **changes):
    """What `bm train diffusion` leaves; a change to None takes that entry out."""
    import torch

    model = tiny_model()
    state = {
        "format": 1,
        "kind": "diffusion",
        "step": 42,
        "model": dataclasses.asdict(model.config),
        "spec": tiny_spec().to_json(),
        "ema": model.state_dict(),
        "provenance": {"commit": "0123abc", "data_sha256": ["ab" * 32, "cd" * 32]},
    }
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in {**state, **changes}.items() if value is not None}
    torch.save(kept, folder / "checkpoints" / "model_000042.pt")
    return folder
