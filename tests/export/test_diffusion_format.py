"""A random planner and its decoder go through export, bm check and the runtime: the format before its training."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="export needs torch: run it in .venv-train")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from test_export_diffusion import export  # noqa: E402

from bm_core.errors import BundleError  # noqa: E402
from bm_core.state import RobotState  # noqa: E402
from bm_sim2real.commands.check import Check  # noqa: E402
from bm_sim2real.commands.diff import Diff  # noqa: E402
from bm_sim2real.planning.policy import PilotConfig, load_lockstep, load_planner  # noqa: E402


@pytest.fixture
def bundle_path(tmp_path):
    export(tmp_path / "planner.onnx")
    return tmp_path / "planner.onnx"


def check(path, tmp_path, **options):
    code = Check(bundle=path, inferences=20, json=tmp_path / "check.json", **options)()
    return code, json.loads((tmp_path / "check.json").read_text())


def standing(step):
    from bm_core.g1 import G1

    return RobotState(
        seq=step,
        time=0.02 * step,
        joint_pos=G1.default_joint_pos + 0.01 * np.sin(0.1 * step),
        joint_vel=np.zeros(29),
        joint_torque=np.zeros(29),
        pelvis_quat_w=np.array([1.0, 0.0, 0.0, 0.0]),
        pelvis_gyro_b=np.zeros(3),
        pelvis_acc_b=np.array([0.0, 0.0, 9.81]),
        pelvis_pos_w=np.array([0.0, 0.0, 0.76]),
        pelvis_lin_vel_b=np.zeros(3),
    )


def test_check_replays_plans_and_times_planner_and_decoder(bundle_path, tmp_path, capsys):
    code, result = check(bundle_path, tmp_path)
    summary = result["summary"]
    assert code == 0 and summary["safe"] and summary["trace_plans"] > 0
    assert set(summary["plan_ms"]) == set(summary["decoder_ms"]) == {"p50", "p99", "max"}
    widths = {row["term"]: row["dim"] for row in result["rows"]}
    assert sum(widths.values()) - widths["action"] == 99 and widths["action"] == 58  # a state, two actions
    assert "plans replayed" in capsys.readouterr().out


def test_the_runtime_plans_and_decodes_what_was_exported(bundle_path):
    policy = load_lockstep(bundle_path, PilotConfig(latency_steps=1))
    policy.is_wanted = True
    outputs = []
    for step in range(40):
        policy.see(standing(step))
        output = policy.act()
        outputs.append(output)
        if output is None:
            policy.watch(standing(step).joint_pos)
    acted = [output for output in outputs if output is not None]
    assert len(acted) > 20 and all(np.isfinite(output.q).all() and output.q.shape == (29,) for output in acted)
    policy.close()


def damaged(path, key):
    import onnx

    model = onnx.load(path)
    entry = next(entry for entry in model.metadata_props if entry.key == key)
    return model, entry


def test_another_decoder_is_unsafe(bundle_path, tmp_path):
    import base64

    model, entry = damaged(bundle_path, "bm.decoder")
    data = bytearray(base64.b64decode(entry.value))
    data[-1] ^= 1
    entry.value = base64.b64encode(bytes(data)).decode()
    bundle_path.write_bytes(model.SerializeToString())
    code, result = check(bundle_path, tmp_path)
    assert code == 1 and "the decoder is not the exported one" in result["summary"]["reasons"][0]


def test_another_network_under_the_same_contract_is_unsafe(bundle_path, tmp_path):
    from bm_core.onnx_file import read_onnx

    model, entry = damaged(bundle_path, "bm.contract")
    tensor = max(model.graph.initializer, key=lambda t: len(t.raw_data))
    tensor.raw_data = (np.frombuffer(tensor.raw_data, np.float32) * np.float32(1.5)).tobytes()
    bundle_path.write_bytes(model.SerializeToString())
    document = json.loads(entry.value) | {"graph_sha256": read_onnx(bundle_path).graph_sha256}
    entry.value = json.dumps(document)
    bundle_path.write_bytes(model.SerializeToString())
    code, result = check(bundle_path, tmp_path)
    assert code == 1 and "golden trace, plan 0" in result["summary"]["reasons"][0]


def test_a_planner_is_no_tracker(bundle_path):
    from bm_sim2real.policies.tracker import TrackerPolicy

    with pytest.raises(BundleError, match="diffusion"):
        TrackerPolicy.load(bundle_path)


def test_a_missing_provider_falls_back_aloud(bundle_path, tmp_path):
    code, result = check(bundle_path, tmp_path, provider="cuda")
    assert code == 0 and result["summary"]["provider"] == "cpu"
    assert "falling back to cpu" in result["summary"]["notices"][0]
    assert load_planner(bundle_path, PilotConfig(provider="auto")) is not None


def test_diff_tells_planners_apart(bundle_path, tmp_path, capsys):
    export(tmp_path / "fewer.onnx", passes=7)
    assert Diff(first=bundle_path, second=bundle_path)() == 0
    assert Diff(first=bundle_path, second=tmp_path / "fewer.onnx")() == 1
    assert "spec.sampler.passes" in capsys.readouterr().out
