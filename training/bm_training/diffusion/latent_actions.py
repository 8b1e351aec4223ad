"""A plan of latents in closed loop: decoded with what the robot feels at the very control step that acts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from bm_training.rotations import gravity_in_body
from bm_training.tracking.robot_view import RobotView

if TYPE_CHECKING:
    from bm_training.diffusion.latent_model import ActionAutoencoder
    from bm_training.diffusion.stage import Stage


class LatentActions:
    """ActionDecoder of latents."""

    def __init__(self, model: ActionAutoencoder) -> None:
        self._model = model

    def decode(self, planned: Tensor, stage: Stage) -> Tensor:
        """(E, 32) -> (E, 29)"""
        felt = self._model.proprioception(stage.observation, gravity_of(stage.robot))
        return self._model.decode(planned, felt)

    def encode(self, stage: Stage) -> tuple[Tensor, Tensor]:
        """The tracker's reference as z (E, 32), and the action (E, 29) that is decoded from it."""
        z, _ = self._model.encode(self._model.reference(stage.observation))
        return z, self.decode(z, stage)


def gravity_of(robot: RobotView) -> Tensor:
    """(E, 3) unit gravity in the pelvis frame."""
    return gravity_in_body(robot.body_quat[:, robot.root])
