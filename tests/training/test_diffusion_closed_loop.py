"""Batched planning is bm_core's planning, robot by robot; tasks kick, command and count as they say."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("h5py")

from diffusion_data import clip, tiny_model, tiny_spec  # noqa: E402

from bm_core.diffusion.history import History  # noqa: E402
from bm_core.diffusion.planner import Planner  # noqa: E402
from bm_core.diffusion.sampler import SamplerNoise  # noqa: E402
from bm_core.diffusion.state import StateRepresentation, reframe, state_slices  # noqa: E402
from bm_core.diffusion.trajectory import PresentFrame, RobotTrajectory  # noqa: E402
from bm_core.errors import ConfigError  # noqa: E402
from bm_core.rotations import quat_from_yaw, quat_multiply  # noqa: E402
from bm_training.diffusion import batch_planner  # noqa: E402
from bm_training.diffusion.batch_history import BatchHistory  # noqa: E402
from bm_training.diffusion.batch_planner import BatchPlanner, BatchPlannerConfig  # noqa: E402
from bm_training.diffusion.sampler import NumpyDenoiser, TorchDenoiser  # noqa: E402
from bm_training.diffusion.trial import Score, Trial, TrialConfig  # noqa: E402

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[2]
YAWS = (0.4, -2.0)


def trajectory(yaw):
    """The squat clip, turned about z and moved."""
    one = clip()
    turn = quat_from_yaw(np.array(yaw))
    frames = len(one.joint_pos)
    drift = np.linspace(0.0, 1.0, frames)[:, None] * np.array([np.cos(yaw), np.sin(yaw), 0.0])
    return RobotTrajectory.from_joints(
        one.root_pos + drift,
        quat_multiply(turn, one.root_quat),
        one.body_lin_vel_w[:, 0] + 0.3,
        one.body_ang_vel_w[:, 0],
        one.joint_pos,
        one.joint_vel,
    )


def robots_at(step):
    """What a RobotView shows of two robots: target bodies, of which the first is the pelvis."""
    paths = [trajectory(yaw) for yaw in YAWS]

    def bodies(name, root):
        values = np.stack([getattr(path, name)[step] for path in paths])
        values[:, 0] = np.stack([getattr(path, root)[step] for path in paths])
        return torch.as_tensor(values).float()

    quat = torch.zeros(2, 14, 4)
    quat[:, 0] = torch.as_tensor(np.stack([path.root_quat_w[step] for path in paths]))
    spin = torch.zeros(2, 14, 3)
    spin[:, 0] = torch.as_tensor(np.stack([path.root_ang_vel_w[step] for path in paths]))
    return SimpleNamespace(
        root=0,
        body_pos=bodies("body_pos_w", "root_pos_w"),
        body_quat=quat,
        body_lin_vel=bodies("body_lin_vel_w", "root_lin_vel_w"),
        body_ang_vel=spin,
        joint_pos=torch.as_tensor(np.stack([path.joint_pos[step] for path in paths])).float(),
        joint_vel=torch.as_tensor(np.stack([path.joint_vel[step] for path in paths])).float(),
    )


def action_at(step):
    return torch.as_tensor(np.random.default_rng(step).normal(size=(2, 29))).float() * 0.3


def history_at(robot, step):
    """bm_core's history of one robot at a control step."""
    path, chosen = trajectory(YAWS[robot]), step - 8 + 2 * np.arange(5)
    fields = ("root_pos_w", "root_quat_w", "root_lin_vel_w", "root_ang_vel_w", "joint_pos", "joint_vel")
    actions = np.stack([action_at(before)[robot].numpy() for before in range(step - 8, step)])
    return History(**{name: getattr(path, name)[chosen] for name in fields}, actions=actions)


@pytest.mark.parametrize("representation", list(StateRepresentation))
def test_batched_history_holds_the_tokens_of_bm_core(representation):
    layout = tiny_spec().layout
    history = BatchHistory(layout, representation, 2, "cpu")
    for step in range(20):
        history.add_state(robots_at(step))
        if step < 19:
            history.add_action(action_at(step))
    states, actions = history.tokens()
    for robot in (0, 1):
        expected = history_at(robot, 19)
        assert np.abs(states[robot].numpy() - expected.states(representation)).max() < 2e-5
        assert np.array_equal(actions[robot].numpy(), expected.action_tokens(layout).astype(np.float32))


def test_reframing_is_that_of_bm_core():
    rng, places = np.random.default_rng(0), state_slices(StateRepresentation.BODY_POS)
    tokens, roots = rng.normal(size=(2, 21, 99)), rng.normal(size=(2, 2, 13))
    for index in (0, 1):
        roots[index, :, 3:7] = quat_from_yaw(rng.uniform(-3.0, 3.0, 2))
    old, new = (PresentFrame.of(root[:, :3], root[:, 3:7]) for root in roots)
    found = batch_planner.reframe(*(torch.as_tensor(values) for values in (tokens, *roots)), places.root)
    assert np.abs(found.numpy() - reframe(tokens, old, new)).max() < 1e-12


@pytest.mark.parametrize("latency, most_committed, history", [(0, 1, 0), (1, 1, 0), (3, 1, 20), (3, 2, 7)])
@pytest.mark.parametrize("is_warm", [True, False])
def test_a_batch_of_plans_is_the_plans_of_single_planners(latency, most_committed, history, is_warm, monkeypatch):
    spec, model = tiny_spec(), tiny_model()
    settings = {"most_committed": most_committed, "history_action_level": history}
    spec = dataclasses.replace(spec, sampler=dataclasses.replace(spec.sampler, **settings))
    rng = np.random.default_rng(1)
    noises = [spec.reference_sampler().draw_noise(rng, 2, 21) for _ in range(3)]
    given = iter(noises)

    def same_noise(*_):
        noise = next(given)
        return SamplerNoise(
            states=torch.as_tensor(noise.states).float(), actions=torch.as_tensor(noise.actions).float()
        )

    monkeypatch.setattr(batch_planner, "draw_noise", same_noise)
    batch = BatchPlanner(spec, TorchDenoiser(model), 2, "cpu", BatchPlannerConfig(latency=latency, is_warm=is_warm))
    ran = {}
    for step in range(14):
        batch.observe(robots_at(step))
        ran[step] = batch.act()
        batch.advance(action_at(step))
    assert batch.num_plans == 3
    for robot in (0, 1):

        def noise_of(number, robot=robot):
            noise = noises[number]
            return SamplerNoise(states=noise.states[:, robot : robot + 1], actions=noise.actions[:, robot : robot + 1])

        single = Planner(spec, NumpyDenoiser(model), is_warm=is_warm, draw_noise=noise_of)
        for step in (8, 10, 12):
            plan = single.plan(history_at(robot, step), step=step, committed=latency)
            for at in range(step + latency, min(step + latency + 2, 14)):
                assert np.abs(ran[at][robot].numpy() - plan.action(at)).max() < 2e-3
    assert all(ran[step] is None for step in range(8 + latency))


def test_a_latency_longer_than_what_is_trained_is_refused():
    with pytest.raises(ConfigError, match="0..13"):
        BatchPlanner(tiny_spec(), TorchDenoiser(tiny_model()), 2, "cpu", BatchPlannerConfig(latency=14))


def test_walk_perturb_kicks_once_a_second_in_the_plane_up_to_half_a_metre_a_second():
    trial = Trial(TrialConfig(name="walk-perturb", seed=3), 500, "cpu")
    kicks = [trial.kick(step) for step in range(trial.steps)]
    assert trial.steps == 750 and trial.command(100) is None
    assert [step for step, kick in enumerate(kicks) if kick is not None] == list(range(50, 750, 50))
    sizes = torch.cat([kick.norm(dim=-1) for kick in kicks if kick is not None])
    assert float(sizes.max()) < 0.5 and float(sizes.mean()) == pytest.approx(0.25, abs=0.01)
    again = Trial(TrialConfig(name="walk-perturb", seed=3), 500, "cpu")
    assert torch.equal(again.kick(50), kicks[50])


def walking(speed, yaw, step):
    root = torch.zeros(len(yaw), 13)
    root[:, 0], root[:, 1] = speed * 0.02 * step * yaw.cos(), speed * 0.02 * step * yaw.sin()
    root[:, 3], root[:, 6] = (yaw / 2).cos(), (yaw / 2).sin()
    root[:, 7], root[:, 8] = speed * yaw.cos(), speed * yaw.sin()
    return root


def test_success_is_five_metres_without_a_fall():
    trial, yaw = Trial(TrialConfig(name="walk-perturb"), 3, "cpu"), torch.tensor([0.0, 1.0, 2.0])
    speed, never = torch.tensor([0.6, 0.6, 0.2]), torch.zeros(3, dtype=torch.bool)
    score = Score(trial, walking(speed, yaw, 0))
    for step in range(trial.steps):
        score.add(step, walking(speed, yaw, step + 1), torch.tensor([False, step == 100, False]), never)
    rows = score.rows()
    assert rows["success"] == [True, False, False] and rows["fallen"] == [False, True, False]
    assert rows["path_m"] == pytest.approx([9.0, 1.2, 3.0], abs=1e-3)
    summary = score.summary()
    assert summary["success_rate"] == pytest.approx(1 / 3) and summary["fall_rate"] == pytest.approx(1 / 3)
    assert summary["falls_per_minute"] == pytest.approx(1 / ((15 + 2 + 15) / 60))


def test_following_is_judged_by_the_last_two_seconds_in_the_robots_own_frame():
    trial, yaw = Trial(TrialConfig(name="joystick"), 2, "cpu"), torch.tensor([0.3, -1.0])
    assert trial.steps == 600 and trial.command(160)[0].tolist() == pytest.approx([-0.4, 0.0, 0.0])
    never = torch.zeros(2, dtype=torch.bool)
    score = Score(trial, walking(torch.zeros(2), yaw, 0))
    for step in range(trial.steps):
        command = trial.command(step)
        late = step % 150 >= 50
        speed = command[:, 0] * torch.tensor([1.0, 0.5]) if late else torch.full((2,), 3.0)
        root = walking(speed, yaw, 0)
        root[:, 12] = command[:, 2]
        score.add(step, root, never, never)
    rows = score.rows()
    # 0.3 m/s too slow at 0.6 is out; 0.2 m/s too slow at -0.4 is out, too.
    assert rows["follows"] == [[True] * 4, [False, False, True, True]] and rows["success"] == [True, False]
    assert score.summary()["velocity_error"] == pytest.approx(0.25, abs=1e-4)


@pytest.mark.slow
def test_in_the_simulator_the_tracker_walks_on_and_an_untrained_model_falls(tmp_path):
    pytest.importorskip("isaaclab")
    import json

    from diffusion_data import STEPS, rollouts

    from bm_training.diffusion.rollout_file import RolloutWriter
    from bm_training.diffusion.train import TrainDiffusion

    writer = RolloutWriter(tmp_path / "data", steps=STEPS, sources=["squat"], provenance={})
    writer.write_shard(rollouts(4), seed=0)
    run = tmp_path / "run"
    TrainDiffusion(data=str(tmp_path / "data"), run_dir=run, model="tiny", batch=8, max_steps=1, device="cpu")()
    path = os.pathsep.join(str(ROOT / part) for part in ("sim2real", "training", "export"))
    command = [sys.executable, "-m", "bm_training.diffusion.evaluate", str(run), "--baseline", "--seconds", "4"]
    command += ["--backend", "ovphysx", "--device", "cpu", "--num-envs", "4", "--passes", "2"]
    command += ["--teacher", str(ROOT / "policies" / "g1_tracker.pt"), "--json", str(tmp_path / "out.json")]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280)
    assert result.returncode == 1, result.stderr[-2000:]
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert [row["policy"] for row in rows] == ["run", "tracker"]
    assert rows[0]["fall_rate"] == 1.0 and rows[0]["success_rate"] == 0.0
    assert rows[1]["fall_rate"] == 0.0 and rows[1]["success_rate"] == 1.0
    assert 4 * 0.45 < rows[1]["path_m"] < 4 * 0.8
