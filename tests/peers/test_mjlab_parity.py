"""A policy initialised and exported by mjlab itself sees and does the same here as in mjlab's own environment."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from bm_core.bundle import Bundle
from bm_core.observation import ObservationBuilder
from bm_core.reference import MotionReference
from bm_core.rotations import quat_rotate_inverse
from bm_core.state import RobotState
from bm_sim2real.commands.check import Check
from bm_sim2real.commands.eval_tracking import EvalTracking
from bm_sim2real.commands.run import Run
from bm_sim2real.policies.inference import OnnxSession
from bm_sim2real.policies.tracker import TrackerPolicy

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".venv-peers" / "bin" / "python"
RECORDER = Path(__file__).with_name("record_mjlab.py")
TASKS = {160: "Mjlab-Tracking-Flat-Unitree-G1", 154: "Mjlab-Tracking-Flat-Unitree-G1-No-State-Estimation"}
TOLERANCE = 1e-4

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PEERS.exists(), reason="mjlab is not installed: make install-peers"),
]


@pytest.fixture(scope="module", params=TASKS, ids=lambda width: f"{width} observations")
def recording(request, tmp_path_factory):
    """Folder with mjlab's export and 100 control steps of its environment; some minutes where warp compiles first."""
    folder = tmp_path_factory.mktemp("mjlab")
    command = [str(PEERS), str(RECORDER), str(folder), TASKS[request.param]]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=1500)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def policy_file(folder):
    return folder / "policy" / "policy.onnx"


def state(qpos, qvel):
    """mjlab's link velocities are in the world, ours in the pelvis frame."""
    quat = qpos[3:7] / np.linalg.norm(qpos[3:7])
    in_pelvis = [np.asarray(quat_rotate_inverse(quat, part), np.float64) for part in (qvel[:3], qvel[3:6])]
    return RobotState(
        seq=0,
        time=0.0,
        joint_pos=qpos[7:],
        joint_vel=qvel[6:],
        joint_torque=np.zeros(29),
        pelvis_quat_w=quat,
        pelvis_gyro_b=in_pelvis[1],
        pelvis_acc_b=np.zeros(3),
        pelvis_pos_w=qpos[:3],
        pelvis_lin_vel_b=in_pelvis[0],
    )


def rebuilt(folder, contract, motion):
    """Our observations of mjlab's 100 ticks, and mjlab's."""
    ticks = np.load(folder / "ticks.npz")
    builder, reference = ObservationBuilder(contract), MotionReference(motion)
    rows = []
    for i, frame in enumerate(ticks["frame"]):
        robot = state(ticks["qpos"][i].astype(np.float64), ticks["qvel"][i].astype(np.float64))
        rows.append(builder.compute(robot, reference, int(frame), ticks["last_action"][i]))
    return np.array(rows), ticks


def test_observation_and_action_are_mjlabs_on_100_ticks(recording):
    policy = TrackerPolicy.load(policy_file(recording))
    assert policy.contract.reference == "embedded" and policy.embedded.clip.num_frames == 128  # the shipped walk
    got, ticks = rebuilt(recording, policy.contract, policy.embedded.clip)
    assert got.shape == ticks["observation"].shape == (100, policy.contract.observation_dim)
    session = OnnxSession(policy_file(recording))
    actions = np.array([session(observation) for observation in got])
    worst = np.abs(got - ticks["observation"]).max(), np.abs(actions - ticks["action"]).max()
    print(f"observation {worst[0]:.1e}, action {worst[1]:.1e}")
    assert worst[0] < TOLERANCE and worst[1] < TOLERANCE
    # The comparison is no accident of a robot at rest.
    assert np.abs(ticks["action"]).max() > 0.1 and ticks["observation"].std(axis=0).max() > 0.5


def test_a_base_velocity_of_another_point_would_be_noticed(recording):
    import dataclasses

    from bm_core.observation_terms import observation_term

    bundle = Bundle.read(policy_file(recording))
    names = [term.name for term in bundle.contract.observations]
    if "base_lin_vel_imu" not in names:
        pytest.skip("this policy has no base velocity")
    terms = tuple(observation_term(name.replace("base_lin_vel_imu", "base_lin_vel")) for name in names)
    contract = dataclasses.replace(bundle.contract, observations=terms)
    got, ticks = rebuilt(recording, contract, TrackerPolicy.load(policy_file(recording)).embedded.clip)
    assert np.abs(got - ticks["observation"]).max() > 0.01


def test_check_eval_and_run_take_the_file_as_it_is(recording, tmp_path):
    path = policy_file(recording)
    assert Check(bundle=path, inferences=10)() == 1  # unproven: a foreign file has no golden trace
    assert (
        EvalTracking(policy=path, motions=str(path), jobs=1, json=tmp_path / "eval.json")() == 1
    )  # it falls, untrained
    assert (tmp_path / "eval.json").exists()
    assert Run(motion=path)() in (0, 1)  # stands by the shipped tracker, then hands over
