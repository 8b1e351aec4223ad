"""From planned numbers to joint actions, as closed loops need it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from bm_core.errors import ConfigError

if TYPE_CHECKING:
    from bm_training.diffusion.stage import Stage


class ActionDecoder(Protocol):
    """What stands between a plan and the joints."""

    def decode(self, planned: Tensor, stage: Stage) -> Tensor:
        """Planned numbers (E, step_width) -> joint actions (E, 29), with what the robots feel now."""
        ...

    def encode(self, stage: Stage) -> tuple[Tensor, Tensor]:
        """What the tracker would plan now (E, step_width), and the joint actions (E, 29) of it."""
        ...


class JointActions:
    """Plans hold joint actions."""

    def decode(self, planned: Tensor, stage: Stage) -> Tensor:
        """As they are."""
        return planned

    def encode(self, stage: Stage) -> tuple[Tensor, Tensor]:
        """The tracker's action."""
        action = stage.tracker_action()
        return action, action


def decoder_of(path: Path, device: str) -> ActionDecoder:
    """The one that a diffusion checkpoint was trained for. ConfigError if it lacks its decoder."""
    from bm_core.diffusion.spec import DiffusionSpec
    from bm_training.diffusion.trainer import read_state

    state = read_state(path, device)
    is_joint = DiffusionSpec.from_json(state["spec"], path.name).action == "joint"
    if not is_joint and state.get("latent") is None:
        raise ConfigError(f"{path.name}: plans latents but holds no decoder; train it with --latent")
    return decoder_from_document(None if is_joint else state["latent"], device)


def decoder_from_document(document: dict[str, Any] | None, device: str) -> ActionDecoder:
    """From a latent checkpoint's document; None for joint actions."""
    from bm_training.diffusion.latent_actions import LatentActions
    from bm_training.diffusion.latent_model import latent_from_document

    return JointActions() if document is None else LatentActions(latent_from_document(document, device))
