"""From planned numbers to joint actions: the decoder graph, fed with what the robot feels at this very control step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.contract import DiffusionContract
from bm_core.errors import BundleError
from bm_core.rotations import gravity_in_body
from bm_core.state import RobotState
from bm_sim2real.planning.denoiser import onnx_session

Array = NDArray[np.floating]

_Felt = Callable[[RobotState, Array, Array], Array]
_FELT: dict[str, _Felt] = {
    "projected_gravity": lambda state, default, last: gravity_in_body(np.asarray(state.pelvis_quat_w)),
    "base_ang_vel": lambda state, default, last: state.pelvis_gyro_b,
    "joint_pos": lambda state, default, last: state.joint_pos - default,
    "joint_vel": lambda state, default, last: state.joint_vel,
    "actions": lambda state, default, last: last,
}
"""Terms that a decoder may ask for: from reading, default pose and last joint action (network units)."""


class ActionDecoder:
    """One decoder graph: z [and obs] -> joint actions."""

    def __init__(self, model: bytes, contract: DiffusionContract) -> None:
        """BundleError if it does not load or asks for something that nobody supplies."""
        self._session = onnx_session(model)
        self._terms = []
        for term in contract.decoder.observations:
            if term.name not in _FELT or term.history != 1:
                raise BundleError(f"decoder: observation '{term.name}' is unknown; known are {', '.join(_FELT)}")
            self._terms.append((_FELT[term.name], term.scale))
        wanted = {tensor.name for tensor in self._session.get_inputs()}
        given = {"z", "obs"} if self._terms else {"z"}
        if wanted != given:
            raise BundleError(f"decoder: takes {', '.join(sorted(wanted))}; its contract gives {', '.join(given)}")
        self._default = np.array(contract.action.default_joint_pos)

    def __call__(self, z: NDArray[np.float32], state: RobotState, last_action: Array) -> NDArray[np.float32]:
        """Planned numbers (step_width,) of this control step -> (29,) joint actions, network units."""
        feed = {"z": z[None]}
        if self._terms:
            parts = [scale * np.asarray(felt(state, self._default, last_action)) for felt, scale in self._terms]
            feed["obs"] = np.concatenate(parts)[None].astype(np.float32)
        return self._session.run(None, feed)[0][0]
