"""What the runtime feeds the model is what it was trained on: the same steps of one rollout, as tokens, both ways."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from diffusion_data import rollouts  # noqa: E402

from bm_core.diffusion.layout import TokenLayout  # noqa: E402
from bm_core.diffusion.state import StateRepresentation  # noqa: E402
from bm_core.rotations import quat_rotate_inverse  # noqa: E402
from bm_core.state import RobotState  # noqa: E402
from bm_sim2real.planning.history_buffer import HistoryBuffer  # noqa: E402
from bm_training.diffusion.windows import Windows  # noqa: E402

ROLLOUTS = rollouts(episodes=2, seed=5)
EPISODE, PRESENT = 1, 24


def readings(episode):
    """What the robot of that rollout would have measured."""
    for step, root in enumerate(ROLLOUTS.root[episode].astype(np.float64)):
        quat = root[3:7] / np.linalg.norm(root[3:7])
        yield RobotState(
            seq=step,
            time=0.02 * step,
            joint_pos=ROLLOUTS.joint_pos[episode, step].astype(np.float64),
            joint_vel=ROLLOUTS.joint_vel[episode, step].astype(np.float64),
            joint_torque=np.zeros(29),
            pelvis_quat_w=quat,
            pelvis_gyro_b=quat_rotate_inverse(quat, root[10:13]),
            pelvis_acc_b=np.zeros(3),
            pelvis_pos_w=root[:3],
            pelvis_lin_vel_b=quat_rotate_inverse(quat, root[7:10]),
        )


@pytest.mark.parametrize("representation", list(StateRepresentation))
@pytest.mark.parametrize("steps_per_token", [1, 2])
def test_history_tokens_are_those_of_a_training_window(representation, steps_per_token):
    layout = TokenLayout(steps_per_token=steps_per_token)
    windows = Windows(ROLLOUTS, np.array([EPISODE]), layout, representation, "cpu")
    first = layout.present * steps_per_token  # window 0 of an episode has its present there
    window = windows.take(torch.tensor([PRESENT - first]))

    buffer = HistoryBuffer(layout)
    for step, state in enumerate(readings(EPISODE)):
        buffer.add_state(state)
        if step == PRESENT:
            break
        buffer.add_action(ROLLOUTS.action_applied[EPISODE, step].astype(np.float64))
    assert buffer.is_full
    history, known = buffer.history(), layout.present + 1
    np.testing.assert_allclose(history.states(representation), window.states[0, :known].numpy(), atol=2e-4)
    np.testing.assert_allclose(history.action_tokens(layout), window.actions[0, : known - 1].numpy(), atol=1e-6)
    # Not a comparison of zeros: the joints move, and so does the root.
    assert np.abs(np.diff(window.states[0, :known].numpy(), axis=0)).max() > 1e-3
