"""Several policies at once: each motion by the one it names, and no jump in command where they change."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import yaml

from bm_core.data import shipped
from bm_core.errors import BundleError, ConfigError
from bm_core.g1 import G1
from bm_core.motion import clip_from_qpos, save_clip
from bm_core.reference import MotionReference
from bm_sim2real import clip_files
from bm_sim2real.blend import still
from bm_sim2real.commands.eval_tracking import EvalTracking
from bm_sim2real.commands.run import Run
from bm_sim2real.modes import Mode
from bm_sim2real.policies import experts as module
from bm_sim2real.policies.experts import ExpertTracker, expert_paths, load_policies
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.recorder import MODES
from bm_sim2real.robots.mock import MockRobot
from bm_sim2real.state_machine import StateMachine

OFFSET = 0.3
"""rad between what the two policies ask for."""
BACKWARDS = tuple(reversed(G1.joint_names))


def reaching(offset):
    """A network that asks for the joints of its reference frame, and `offset` more. Canonical order."""
    return lambda observation, step: ((observation[:29] + offset - G1.default_joint_pos) / G1.action_scale).astype("f4")


def backwards(contract):
    """The same robot with its joints listed the other way round, and half the gains."""
    pick = lambda values: tuple(values[::-1])  # noqa: E731
    action = dataclasses.replace(
        contract.action,
        joint_names=BACKWARDS,
        scale=pick(contract.action.scale),
        default_joint_pos=pick(contract.action.default_joint_pos),
    )
    return dataclasses.replace(
        contract,
        action=action,
        stiffness=tuple(0.5 * kp for kp in pick(contract.stiffness)),
        damping=pick(contract.damping),
        effort_limit=pick(contract.effort_limit),
    )


def reaching_backwards(offset):
    def network(observation, step):
        forth = np.concatenate([observation[:29][::-1], observation[29:]])
        return reaching(offset)(forth, step)[::-1].copy()

    return network


def wave(stand, policy=""):
    """1 s that lifts the left forearm from the standing pose."""
    s = np.linspace(0.0, 1.0, 51)[:, None]
    lift = 0.5 * (1.0 - np.cos(np.pi * s)) / 2.0 * (np.arange(29) == G1.joint_index["left_elbow_joint"])
    clip = clip_from_qpos(
        "wave",
        np.tile(stand.body_pos_w[0], (51, 1)),
        np.tile(stand.body_quat_w[0], (51, 1)),
        stand.joint_pos + lift,
        50.0,
    )
    return dataclasses.replace(clip, meta={**clip.meta, "policy": policy}) if policy else clip


class Stage:
    def __init__(self, balancer):
        self.robot = MockRobot()
        self.robot.connect()
        self.default = TrackerPolicy(balancer.contract, reaching(0.0), supplied=())
        self.expert = TrackerPolicy(backwards(balancer.contract), reaching_backwards(OFFSET), supplied=())
        self.policy = ExpertTracker(self.default, {"expert.onnx": self.expert})
        self.machine = StateMachine(self.policy, balancer.stand, self.robot.features)
        self.machine.start_standing(self.robot.read())
        self.commands = []

    def run(self, steps):
        for _ in range(steps):
            self.commands.append(self.machine.step(self.robot.read()).low)
            self.robot.reset(joint_pos=self.commands[-1].q)
            self.robot.step()
        assert self.machine.fault is None

    def largest_change(self, name):
        return np.abs(np.diff([getattr(command, name) for command in self.commands], axis=0)).max()


@pytest.fixture
def stage(balancer):
    return Stage(balancer)


def play(stage, balancer, steps=130):
    stage.run(20)
    stage.machine.play(wave(balancer.stand, "expert.onnx"), stage.robot.read())
    stage.run(steps)


def test_a_motion_is_played_by_the_policy_it_names_and_standing_by_the_default(stage, balancer):
    assert stage.policy.active is stage.default
    play(stage, balancer, steps=60)
    assert stage.machine.mode is Mode.RUNNING and stage.policy.active is stage.expert
    assert stage.commands[-1].kp == pytest.approx(0.5 * G1.kp)
    stage.run(120)
    assert stage.machine.mode is Mode.STAND and stage.policy.active is stage.default
    assert stage.commands[-1].kp == pytest.approx(G1.kp)


def test_a_motion_that_names_nobody_stays_with_the_default(stage, balancer):
    stage.run(5)
    stage.machine.play(wave(balancer.stand), stage.robot.read())
    stage.run(20)
    assert stage.policy.active is stage.default


def test_the_command_does_not_jump_where_policies_change(stage, balancer):
    play(stage, balancer)
    assert stage.policy.active is stage.default and stage.machine.mode is Mode.STAND  # there and back
    # Minimum jerk: at most 1.875 / steps of the whole in one step; the blend of 0.5 rad in 0.5 s moves 0.0375 a step.
    assert stage.largest_change("q") < 1.875 / module.FADE_STEPS * OFFSET + 0.038
    assert stage.largest_change("kp") < 1.9 / module.FADE_STEPS * 0.5 * G1.kp.max()


def test_without_the_fade_it_would_jump(stage, balancer, monkeypatch):
    monkeypatch.setattr(module, "FADE_STEPS", 1)
    play(stage, balancer)
    assert stage.largest_change("q") > 0.9 * OFFSET and stage.largest_change("kp") > 49.0


def test_the_newcomer_takes_the_last_set_points_for_its_own_last_action(stage, balancer):
    stage.run(20)
    last = stage.commands[-1].q
    stage.machine.play(wave(balancer.stand, "expert.onnx"), stage.robot.read())
    stage.machine.step(stage.robot.read())
    seen = stage.machine.output.observation[125:154]
    assert seen == pytest.approx(((last - G1.default_joint_pos) / G1.action_scale)[::-1], abs=1e-5)


def test_a_reset_begins_with_the_named_policy_at_once(stage, balancer):
    stage.policy.reset(MotionReference(wave(balancer.stand, "expert.onnx")))
    stage.robot.reset(joint_pos=balancer.stand.joint_pos)
    output = stage.policy.step(stage.robot.read())
    assert output.q == pytest.approx(balancer.stand.joint_pos + OFFSET, abs=0.02)


def test_every_expert_is_proven_before_anything_moves(bundle_path, balancer, tmp_path):
    expert = tmp_path / "expert.onnx"
    shutil.copy(bundle_path, expert)
    clip = wave(balancer.stand, str(expert))
    assert isinstance(load_policies(bundle_path, [clip]), ExpertTracker)
    expert.write_bytes(expert.read_bytes()[:1000])
    with pytest.raises(BundleError, match=r"expert.onnx: not a whole .onnx file"):
        load_policies(bundle_path, [clip])


def test_who_names_the_default_policy_needs_no_second_one(bundle_path, balancer):
    clip = wave(balancer.stand, str(bundle_path))
    assert expert_paths(bundle_path, [clip]) == []
    assert not isinstance(load_policies(bundle_path, [clip]), ExpertTracker)


@pytest.fixture
def named(bundle_path, balancer, tmp_path, monkeypatch):
    """A motion set whose wave is an expert's, and whose stand is nobody's; a general policy."""
    shutil.copy(bundle_path, tmp_path / "expert.onnx")
    save_clip(wave(balancer.stand), tmp_path / "wave.npz")
    stand = still(balancer.stand)
    save_clip(dataclasses.replace(stand.clip, name="hold"), tmp_path / "hold.npz")
    document = {
        "name": "two",
        "description": "one with an expert",
        "motions": [{"path": "wave.npz", "policy": "expert.onnx"}, {"path": "hold.npz"}],
    }
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(document))
    return tmp_path


def test_a_motion_set_names_bundles_beside_it(named):
    clips = [file.load() for file in clip_files.chosen_clips(None, str(named / "two.yaml"), None)]
    assert [clip.meta.get("policy", "") for clip in clips] == [str(named / "expert.onnx"), ""]


def test_a_clip_names_a_bundle_beside_it(named, balancer):
    save_clip(wave(balancer.stand, "expert.onnx"), named / "own.npz")
    assert clip_files.load_any_clip(named / "own.npz").meta["policy"] == str(named / "expert.onnx")


def test_a_bundle_that_is_nowhere_is_refused(named, balancer):
    (named / "expert.onnx").unlink()
    with pytest.raises(ConfigError, match=r"two: motions\[0\]: policy expert.onnx: no such file"):
        clip_files.chosen_clips(None, str(named / "two.yaml"), None)


def test_evaluation_compares_experts_with_the_general_policy(named, bundle_path, capsys):
    document = named / "eval.json"
    command = EvalTracking(
        policy=bundle_path, motion_set=str(named / "two.yaml"), experts="compare", jobs=1, json=document
    )
    command()
    result = json.loads(document.read_text())
    assert [row["policy"] for row in result["rows"]] == ["balancer.onnx", "expert.onnx", "balancer.onnx"]
    summary = result["summary"]
    assert set(summary["policies"]) == {"balancer.onnx", "expert.onnx"} and summary["episodes"] == 2
    duel = summary["duel"]["wave"]
    assert duel["expert"] == duel["general"]  # a copy of the same policy
    assert "played by expert.onnx" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_plays_a_whole_set_with_its_experts(tmp_path, capsys):
    shutil.copy(shipped("policies", "g1_tracker.onnx"), tmp_path / "expert.onnx")
    motions = [{"path": "walk.npz", "policy": "expert.onnx"}, {"path": "stop_left035_0.npz"}]
    document = {"name": "two", "description": "one with an expert", "motions": motions}
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(document))
    code = Run(motion_set=str(tmp_path / "two.yaml"), record=tmp_path / "run.npz")()
    out = capsys.readouterr().out
    assert code == 0 and "playing walk" in out and "playing stop_left035_0" in out
    with np.load(tmp_path / "run.npz") as recorded:
        begins = int(np.argmax(recorded["mode"] == MODES.index("running")))
        q = recorded["target"][begins - 1 : begins + 1]
    # 0.07 rad is what the tracker itself makes of the new reference; while walking its targets move up to 0.75 a step.
    assert begins > 0 and np.abs(q[1] - q[0]).max() < 0.15
