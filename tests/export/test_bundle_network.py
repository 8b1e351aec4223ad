"""A bundle can be exported again from itself: same network, other precision, or a motion inside."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="export needs torch: run it in .venv-train")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("rsl_rl.modules")

from test_export_tracker import CONTRACT, actor_model, clip, save_checkpoint  # noqa: E402, F401

from bm_core.bundle import Bundle  # noqa: E402
from bm_core.errors import BundleError, ConfigError  # noqa: E402
from bm_core.motion import save_clip  # noqa: E402
from bm_core.onnx_file import read_onnx  # noqa: E402
from bm_export.bundle_network import load_bundle_tracker  # noqa: E402
from bm_export.checkpoint import load_tracker  # noqa: E402
from bm_export.commands import ExportTracking  # noqa: E402
from bm_export.tracker import ExportOptions, export_tracker  # noqa: E402
from bm_sim2real.commands.check import Check  # noqa: E402


@pytest.fixture
def bundle_path(tmp_path, clip):  # noqa: F811
    tracker = load_tracker(save_checkpoint(tmp_path, actor_model()))
    export_tracker(tracker.actor, tracker.contract, [clip], tmp_path / "policy.onnx")
    return tmp_path / "policy.onnx"


def test_the_network_comes_back_bit_by_bit(bundle_path, tmp_path, clip):  # noqa: F811
    tracker = load_bundle_tracker(bundle_path)
    assert tracker.contract == Bundle.read(bundle_path).contract
    export_tracker(tracker.actor, tracker.contract, [clip], tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == bundle_path.read_bytes()


def test_a_network_without_normaliser_comes_back_too(tmp_path, clip):  # noqa: F811
    torch.manual_seed(0)
    from rsl_rl.modules import MLP

    actor = torch.nn.Sequential(MLP(CONTRACT.observation_dim, 29, [16, 8], "relu")).eval()
    export_tracker(actor, CONTRACT, [clip], tmp_path / "plain.onnx")
    obs = torch.randn(8, CONTRACT.observation_dim)
    got = load_bundle_tracker(tmp_path / "plain.onnx").actor(obs)
    torch.testing.assert_close(got, actor(obs), atol=0, rtol=0)


def command(bundle_path, tmp_path, clip, **options):  # noqa: F811
    save_clip(clip, tmp_path / "clips" / "squat.npz")
    return ExportTracking(checkpoint=bundle_path, clip=(tmp_path / "clips",), **options)


def test_the_command_takes_a_bundle_and_says_what_it_measured(bundle_path, tmp_path, clip, capsys):  # noqa: F811
    out, document = tmp_path / "int8.onnx", tmp_path / "export.json"
    assert command(bundle_path, tmp_path, clip, out=out, precision="int8", json=document)() == 0
    summary = json.loads(document.read_text())["summary"]
    small = Bundle.read(out)
    assert summary["precision"] == "int8" and summary["opset"] <= 20 and summary["ir_version"] <= 9
    assert summary["parity_error"] == small.precision.error > 1e-6
    assert summary["trace_tolerance"] == small.trace_tolerance and summary["parity_observations"] == 100
    assert summary["graph_sha256"] == read_onnx(out).graph_sha256 != read_onnx(bundle_path).graph_sha256
    assert "ONNX against torch" in capsys.readouterr().out
    assert Check(bundle=out, inferences=5, json=document)() == 0
    assert json.loads(document.read_text())["summary"]["precision"]["error"] == small.precision.error
    assert "weights   int8, up to " in capsys.readouterr().out


def test_a_bundle_gets_a_motion_inside(bundle_path, tmp_path, clip, capsys):  # noqa: F811
    save_clip(clip, tmp_path / "squat.npz")
    export = command(bundle_path, tmp_path, clip, out=tmp_path / "inside.onnx", embed_motion=tmp_path / "squat.npz")
    assert export() == 0
    session = onnxruntime.InferenceSession(str(tmp_path / "inside.onnx"), providers=["CPUExecutionProvider"])
    feed = {"obs": np.zeros((1, 160), np.float32), "time_step": np.array([[7.0]], np.float32)}
    got = session.run(["joint_pos"], feed)[0][0]
    np.testing.assert_allclose(got, clip.joint_pos[7], atol=1e-5)  # clips are saved in steps of 2^-16 rad
    with pytest.raises(BundleError, match="inside.onnx: it has a motion inside; give the bundle without"):
        load_bundle_tracker(tmp_path / "inside.onnx")
    # Its look-ahead comes from that motion, which bm run could not leave.
    assert Check(bundle=tmp_path / "inside.onnx", inferences=5)() == 0
    assert "bm run refuses it" in capsys.readouterr().out


def test_a_bundle_is_not_written_over_itself(bundle_path, tmp_path, clip):  # noqa: F811
    before = bundle_path.read_bytes()
    with pytest.raises(ConfigError, match="policy.onnx: is the bundle to read from; give another file with --out"):
        command(bundle_path, tmp_path, clip, out=tmp_path / "clips" / ".." / "policy.onnx", precision="int8")()
    assert bundle_path.read_bytes() == before


def test_rounded_weights_are_not_rounded_again(bundle_path, tmp_path, clip):  # noqa: F811
    tracker = load_bundle_tracker(bundle_path)
    options = ExportOptions(precision="fp16")
    export_tracker(tracker.actor, tracker.contract, [clip], tmp_path / "fp16.onnx", options)
    with pytest.raises(BundleError, match="fp16.onnx: its weights are fp16 already; give the float32 bundle"):
        load_bundle_tracker(tmp_path / "fp16.onnx")


def test_somebody_elses_policy_is_refused(tmp_path):
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parents[1] / "bm_core"))
    from foreign_files import write_wbt

    with pytest.raises(BundleError, match="x.onnx: not exported by this project: without bm.contract nothing can be"):
        load_bundle_tracker(write_wbt(tmp_path / "x.onnx"))


class Sum(torch.nn.Module):
    """Two paths through the network: no chain."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (torch.nn.Linear(CONTRACT.observation_dim, 29) for _ in range(2))

    def forward(self, obs):
        return torch.nn.functional.elu(self.first(obs)) + self.second(obs)


def test_another_kind_of_network_is_refused(tmp_path, clip):  # noqa: F811
    torch.manual_seed(0)
    export_tracker(Sum().eval(), CONTRACT, [clip], tmp_path / "sum.onnx")
    with pytest.raises(BundleError, match="sum.onnx: its network is no plain MLP; export it from its checkpoint"):
        load_bundle_tracker(tmp_path / "sum.onnx")
