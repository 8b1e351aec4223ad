"""A trained diffusion model out of a checkpoint of `bm train diffusion`: averaged weights, spec, where it is from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bm_core.contract import Training
from bm_core.diffusion.spec import DiffusionSpec
from bm_core.errors import ConfigError

if TYPE_CHECKING:
    from bm_training.diffusion.latent_model import ActionAutoencoder
    from bm_training.diffusion.model import TokenTransformer


@dataclass(frozen=True, kw_only=True)
class TrainedDiffusion:
    """What an export needs of training."""

    model: TokenTransformer
    """In evaluation mode, on the CPU."""
    spec: DiffusionSpec
    training: Training
    latent: ActionAutoencoder | None
    """Whose decoder belongs to it; None for joint actions."""


def load_diffusion(run_or_file: str | Path) -> TrainedDiffusion:
    """Read a checkpoint, or the newest one of a run's folder. ConfigError if it is damaged or of another kind."""
    from bm_training.diffusion.trainer import load_model, read_state
    from bm_training.tracking.checkpoint import find_checkpoint

    path = find_checkpoint(Path(run_or_file))
    state = read_state(path, "cpu")
    try:
        spec, model = load_model(path)
        training = _training(path, state)
    except KeyError as error:
        raise ConfigError(f"{path}: the checkpoint lacks its entry {error}") from error
    except (RuntimeError, TypeError) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())[:160]}") from error
    return TrainedDiffusion(model=model, spec=spec, training=training, latent=_latent(path, spec, state))


def _latent(path: Path, spec: DiffusionSpec, state: dict[str, Any]) -> ActionAutoencoder | None:
    from bm_training.diffusion.latent_model import latent_from_document

    if spec.action == "joint":
        return None
    if state.get("latent") is None:
        raise ConfigError(f"{path}: plans latents but holds no decoder; train it with --latent")
    return latent_from_document(state["latent"], "cpu")


def _training(path: Path, state: dict[str, Any]) -> Training:
    provenance = state.get("provenance", {})
    digest = provenance.get("data_sha256", "")
    return Training(
        commit=str(provenance.get("commit", "")),
        motion_set="bm collect",
        motion_set_sha256=digest if isinstance(digest, str) else json.dumps(digest),
        steps=int(state["step"]),
        run=path.parent.parent.name,
    )
