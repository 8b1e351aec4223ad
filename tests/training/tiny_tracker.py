"""A tracker's checkpoint with random weights, as a run leaves it: a teacher for tests that need no training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from bm_core.contract import Training, g1_contract
from bm_core.observation_terms import ObservationTerm
from bm_training.tracking.checkpoint import FORMAT
from bm_training.tracking.ppo_cfg import PpoConfig

HIDDEN = (16, 16)


def write_tracker(run_dir: Path, terms: Sequence[ObservationTerm], bias: float, seed: int = 0) -> Path:
    """A run's folder whose policy answers every observation with `bias`, and a little of what it sees."""
    from rsl_rl.modules import MLP, EmpiricalNormalization

    sha256 = "ab" * 32
    contract = g1_contract(terms, Training(commit="", motion_set="x", motion_set_sha256=sha256, steps=1, run="x"))
    torch.manual_seed(seed)
    mlp = MLP(contract.observation_dim, 29, list(HIDDEN), "elu")
    with torch.no_grad():
        last = [layer for layer in mlp if isinstance(layer, torch.nn.Linear)][-1]
        last.weight.mul_(0.2)
        last.bias.fill_(bias)
    state = {f"mlp.{name}": value for name, value in mlp.state_dict().items()}
    normaliser = EmpiricalNormalization(contract.observation_dim).state_dict()
    state |= {f"obs_normalizer.{name}": value for name, value in normaliser.items()}
    folder = run_dir / "checkpoints"
    folder.mkdir(parents=True)
    checkpoint = {
        "format": FORMAT,
        "steps": 1,
        "alg": {"actor_state_dict": state},
        "ppo": dataclasses.asdict(PpoConfig(hidden_dims=HIDDEN)),
        "provenance": {"motion_set_sha256": sha256},
    }
    torch.save(checkpoint, folder / "model_000001.pt")
    (folder / "contract.json").write_text(contract.to_json())
    return run_dir
