"""A checkpoint of rsl-rl becomes a bundle that proves itself; what does not fit is refused and nothing is written."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="export needs torch: run it in .venv-train")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
rsl_rl_modules = pytest.importorskip("rsl_rl.modules")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bm_core"))

from tiny_bundle import reordered  # noqa: E402

from bm_core.bundle import Bundle  # noqa: E402
from bm_core.contract import Training, g1_contract  # noqa: E402
from bm_core.errors import BundleError  # noqa: E402
from bm_core.g1 import G1  # noqa: E402
from bm_core.motion import clip_from_qpos  # noqa: E402
from bm_core.observation_terms import tracker_terms  # noqa: E402
from bm_export.checkpoint import load_tracker  # noqa: E402
from bm_export.tracker import export_tracker  # noqa: E402
from bm_training.tracking.checkpoint import random_states  # noqa: E402
from bm_training.tracking.ppo_cfg import PpoConfig  # noqa: E402

TRAINING = Training(commit="0123abc", motion_set="walk", motion_set_sha256="ff" * 32, steps=1000, run="tiny")
CONTRACT = g1_contract(tracker_terms(state_estimation=True, window_steps=(4, 8)), TRAINING)
HIDDEN = [32, 24]


@pytest.fixture(scope="module")
def clip():
    """A squat, 2 s."""
    t = np.linspace(0.0, 2.0, 101)
    bend = 0.2 * np.sin(np.pi * t) ** 2
    joint_pos = np.tile(G1.default_joint_pos, (101, 1))
    for side in (0, 6):
        joint_pos[:, side] -= bend
        joint_pos[:, side + 3] += 2 * bend
        joint_pos[:, side + 4] -= bend
    root_pos = np.stack([np.zeros(101), np.zeros(101), 0.77 - 0.1 * bend], axis=1)
    return clip_from_qpos("squat", root_pos, np.tile([1.0, 0.0, 0.0, 0.0], (101, 1)), joint_pos, 50.0)


def actor_model(obs_dim=CONTRACT.observation_dim, actions=29, normalise=True):
    """rsl-rl's own model, with statistics and a small output, as after some training."""
    from rsl_rl.models import MLPModel
    from tensordict import TensorDict

    torch.manual_seed(3)
    obs = TensorDict({"policy": torch.zeros(1, obs_dim)}, batch_size=[1])
    noise = {"class_name": "rsl_rl.modules.distribution:GaussianDistribution", "init_std": 1.0}
    model = MLPModel(obs, {"actor": ["policy"]}, "actor", actions, HIDDEN, "elu", normalise, noise)
    model.train()
    for _ in range(3):
        model.update_normalization(TensorDict({"policy": 0.5 + 2.0 * torch.randn(64, obs_dim)}, batch_size=[64]))
    return model.eval()


def save_checkpoint(folder, model, contract=CONTRACT, **changes):
    """What the trainer leaves in a run's folder."""
    folder = folder / "checkpoints"
    folder.mkdir(exist_ok=True)
    state = {
        "format": 1,
        "iteration": 7,
        "steps": 4321,
        "alg": {"actor_state_dict": model.state_dict(), "optimizer_state_dict": {}},
        "ppo": dataclasses.asdict(PpoConfig(hidden_dims=tuple(HIDDEN))),
        "random": random_states(),
        "provenance": {"motion_set_sha256": "ff" * 32},
    }
    torch.save(state | changes, folder / "model_000007.pt")
    (folder / "contract.json").write_text(contract.to_json())
    return folder / "model_000007.pt"


@pytest.fixture
def checkpoint(tmp_path):
    return save_checkpoint(tmp_path, actor_model())


def exported(checkpoint, clip, path):
    tracker = load_tracker(checkpoint)
    return export_tracker(tracker.actor, tracker.contract, [clip], path)


def test_the_loaded_actor_is_the_trained_one(checkpoint):
    from tensordict import TensorDict

    obs = 3.0 * torch.randn(16, CONTRACT.observation_dim)
    with torch.no_grad():
        expected = actor_model()(TensorDict({"policy": obs}, batch_size=[16]))
        got = load_tracker(checkpoint).actor(obs)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
    assert expected.abs().max() > 0.05  # the comparison would not notice two dead networks


def test_an_export_proves_itself(checkpoint, clip, tmp_path):
    report = exported(checkpoint, clip, tmp_path / "policy.onnx")
    assert report.trace.num_ticks == 51
    assert report.parity_error < 1e-5 and report.trace.worst_term_error < 1e-4
    bundle = Bundle.read(tmp_path / "policy.onnx")
    training = dataclasses.replace(TRAINING, steps=4321)  # of this checkpoint, not of the run's beginning
    assert bundle.contract == dataclasses.replace(CONTRACT, training=training)
    # Played, not made up: joints move between ticks and stay in their ranges by and large.
    assert np.abs(np.diff(bundle.trace.joint_pos, axis=0)).max() > 1e-3
    assert np.abs(bundle.trace.observation).max() < 60.0
    assert np.abs(bundle.trace.observation[:, 58:61]).max() > 1e-3  # the robot is not where its reference is


def test_the_normaliser_is_inside_the_graph(checkpoint, clip, tmp_path):
    exported(checkpoint, clip, tmp_path / "policy.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "policy.onnx"), providers=["CPUExecutionProvider"])
    obs = np.full((2, CONTRACT.observation_dim), 5.0, dtype=np.float32)
    with torch.no_grad():
        model = actor_model()
        expected = model.mlp((torch.from_numpy(obs) - model.obs_normalizer.mean) / (model.obs_normalizer.std + 1e-2))
    np.testing.assert_allclose(session.run(None, {"obs": obs})[0], expected.numpy(), atol=1e-5)


def test_old_runtimes_can_load_it_and_nothing_of_this_machine_is_inside(checkpoint, clip, tmp_path):
    exported(checkpoint, clip, tmp_path / "policy.onnx")
    model = onnx.load(tmp_path / "policy.onnx")
    assert model.ir_version <= 9 and model.opset_import[0].version <= 20 and not model.producer_version
    content = (tmp_path / "policy.onnx").read_bytes()
    assert str(tmp_path).encode() not in content and b".py" not in content


def test_one_checkpoint_always_gives_the_same_file(checkpoint, clip, tmp_path):
    for name in ("a.onnx", "b.onnx"):
        exported(checkpoint, clip, tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_metadata_of_other_stacks_keeps_full_precision(checkpoint, clip, tmp_path):
    exported(checkpoint, clip, tmp_path / "policy.onnx")
    metadata = {entry.key: entry.value for entry in onnx.load(tmp_path / "policy.onnx").metadata_props}
    # 0.25 * 5 N m / 16.7783 N m/rad; three decimals would make it 0.075.
    assert float(metadata["action_scale"].split(",")[-1]) == pytest.approx(0.0745010, abs=1e-6)
    assert metadata["observation_names"].split(",")[0] == "command"


def test_a_policy_with_its_joints_in_another_order_exports(clip, tmp_path):
    contract = dataclasses.replace(CONTRACT, observations=tracker_terms(state_estimation=False))
    contract = reordered(contract, range(28, -1, -1))
    model = actor_model(obs_dim=154)
    checkpoint = save_checkpoint(tmp_path, model, contract)
    assert exported(checkpoint, clip, tmp_path / "policy.onnx").trace.worst_term_error < 1e-4


def test_a_runs_folder_stands_for_its_newest_checkpoint(checkpoint):
    assert load_tracker(checkpoint.parents[1]).contract.training.steps == 4321


def test_a_checkpoint_without_its_contract_is_refused(checkpoint):
    checkpoint.with_name("contract.json").unlink()
    with pytest.raises(BundleError, match=r"contract.json: cannot be read: No such file"):
        load_tracker(checkpoint)


def test_the_contract_of_another_run_is_refused(tmp_path):
    checkpoint = save_checkpoint(tmp_path, actor_model(), provenance={"motion_set_sha256": "00" * 32})
    with pytest.raises(BundleError, match="trained on another motion set than contract.json"):
        load_tracker(checkpoint)


def nan_weight():
    model = actor_model()
    with torch.no_grad():
        model.mlp[0].weight[2, 2] = float("nan")
    return model


def without_last_layer():
    model = actor_model()
    model.mlp[4] = torch.nn.Identity()
    return model


OTHER_ROBOT = dataclasses.replace(CONTRACT, robot="unitree_h1")
REFUSED = {
    "nan weight": (nan_weight, CONTRACT, {}, "weight holds NaN"),
    "other observations": (lambda: actor_model(obs_dim=160), CONTRACT, {}, "takes 160 numbers, .* have 238"),
    "other actions": (lambda: actor_model(actions=23), CONTRACT, {}, "gives 23 numbers, its contract has 29"),
    "missing layer": (without_last_layer, CONTRACT, {}, "gives 24 numbers, its contract has 29"),
    "missing normaliser": (lambda: actor_model(normalise=False), CONTRACT, {}, "observation normaliser is missing"),
    "other robot": (actor_model, OTHER_ROBOT, {}, "made for robot 'unitree_h1'"),
    "other settings": (actor_model, CONTRACT, {"ppo": {"activation": "relu"}}, "PPO settings are not those of this"),
    "other format": (actor_model, CONTRACT, {"format": 2}, "not a checkpoint of bm train tracking"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path, case):
    make, contract, changes, message = REFUSED[case]
    with pytest.raises(BundleError, match=message):
        load_tracker(save_checkpoint(tmp_path, make(), contract, **changes))


@pytest.mark.parametrize("content", [b"", b"no pickle", b"PK\x03\x04 half a zip"])
def test_a_damaged_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "model_1.pt"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"model_1.pt: not a checkpoint"):
        load_tracker(path)


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "trapped"), "w"))

    torch.save({"format": 1, "steps": Trap()}, tmp_path / "model_1.pt")
    with pytest.raises(BundleError, match="not a checkpoint of tensors and plain values"):
        load_tracker(tmp_path / "model_1.pt")
    assert not (tmp_path / "trapped").exists()


def test_nothing_is_written_when_the_proof_fails(checkpoint, clip, tmp_path, monkeypatch):
    import bm_export.tracker as tracker_module

    honest = tracker_module._onnx_run
    monkeypatch.setattr(tracker_module, "_onnx_run", lambda path: lambda obs: honest(path)(obs) + np.float32(1e-3))
    target = tmp_path / "out" / "policy.onnx"
    with pytest.raises(BundleError, match="ONNX differs from torch by 0.001"):
        exported(checkpoint, clip, target)
    assert not target.parent.exists() or list(target.parent.iterdir()) == []


def test_the_command_exports_and_says_what_it_measured(checkpoint, clip, tmp_path, capsys):
    from bm_core.motion import save_clip
    from bm_export.commands import ExportTracking

    save_clip(clip, tmp_path / "clips" / "squat.npz")
    command = ExportTracking(checkpoint=checkpoint, out=tmp_path / "policy.onnx", clip=(tmp_path / "clips",))
    assert command() == 0
    assert "238 observations" in capsys.readouterr().out
    assert Bundle.read(tmp_path / "policy.onnx").contract.training.steps == 4321
