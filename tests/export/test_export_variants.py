"""Smaller weights with their measured error, fixed batches, and graphs with their motion inside."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="export needs torch: run it in .venv-train")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("rsl_rl.modules")

from test_export_tracker import CONTRACT, actor_model, clip, save_checkpoint  # noqa: E402, F401

from bm_core.bundle import Bundle  # noqa: E402
from bm_core.errors import BundleError, ConfigError  # noqa: E402
from bm_core.observation import ObservationBuilder  # noqa: E402
from bm_core.observation_terms import observation_term  # noqa: E402
from bm_core.reference import MotionReference  # noqa: E402
from bm_export import tracker as module  # noqa: E402
from bm_export.checkpoint import load_tracker  # noqa: E402
from bm_export.time_step_graph import EmbeddedActor, embedded_contract  # noqa: E402
from bm_export.tracker import ExportOptions, export_tracker  # noqa: E402


@pytest.fixture
def tracker(tmp_path):
    return load_tracker(save_checkpoint(tmp_path, actor_model()))


def exported(tracker, clip, path, **options):  # noqa: F811
    return export_tracker(tracker.actor, tracker.contract, [clip], path, ExportOptions(**options))


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def weight_types(path):
    model = onnx.load(path)
    return [tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) == 2 and tensor.dims[0] > 1]


@pytest.mark.parametrize(
    "precision, kind", [("fp16", onnx.TensorProto.FLOAT16), ("int8", onnx.TensorProto.INT8)], ids=["fp16", "int8"]
)
def test_smaller_weights_prove_themselves_and_state_their_error(tracker, clip, tmp_path, precision, kind):  # noqa: F811
    report = exported(tracker, clip, tmp_path / "x.onnx", precision=precision)
    bundle = Bundle.read(tmp_path / "x.onnx")
    assert bundle.precision.weights == precision and bundle.precision.observations == 100
    assert bundle.precision.error == report.parity_error > 1e-6
    assert bundle.trace_tolerance >= 1.4 * report.parity_error or bundle.trace_tolerance == 2e-3
    assert kind in weight_types(tmp_path / "x.onnx")
    obs = session(tmp_path / "x.onnx").get_inputs()[0]
    assert obs.type == "tensor(float)"  # in and out as always


def test_int8_ships_the_float_trace_beside_its_own(tracker, clip, tmp_path):  # noqa: F811
    exported(tracker, clip, tmp_path / "int8.onnx", precision="int8")
    exported(tracker, clip, tmp_path / "fp32.onnx")
    small, full = Bundle.read(tmp_path / "int8.onnx"), Bundle.read(tmp_path / "fp32.onnx")
    np.testing.assert_array_equal(small.float_trace.action, full.trace.action)
    assert np.abs(small.trace.action - full.trace.action).max() > 1e-5  # its own is another
    assert full.precision is None and full.trace_tolerance == 1e-4


def test_an_int8_network_that_left_its_float_trace_is_refused(tracker, clip, tmp_path):  # noqa: F811
    """Its own trace may have been recorded on the very network that went wrong."""
    exported(tracker, clip, tmp_path / "x.onnx", precision="int8")
    bundle = Bundle.read(tmp_path / "x.onnx")
    wrong = np.float32(2.0 * bundle.trace_tolerance)
    trace = dataclasses.replace(bundle.trace, action=bundle.trace.action + wrong)
    trace = dataclasses.replace(trace, torque=trace.torques(bundle.contract).astype(np.float32))
    model = session(tmp_path / "x.onnx")
    with pytest.raises(BundleError, match="float32 trace: golden trace, tick 0: action of left_hip_pitch_joint"):
        dataclasses.replace(bundle, trace=trace).prove(lambda obs: model.run(None, {"obs": obs[None]})[0][0] + wrong)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_smaller_weights_give_equal_bytes(tracker, clip, tmp_path, precision):  # noqa: F811
    for name in ("a.onnx", "b.onnx"):
        exported(tracker, clip, tmp_path / name, precision=precision)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_network_that_loses_too_much_is_not_written(tracker, clip, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setitem(module.PARITY_TOLERANCE, "fp16", 1e-7)
    with pytest.raises(BundleError, match="ONNX differs from torch by .*, at most 1e-07 allowed"):
        exported(tracker, clip, tmp_path / "x.onnx", precision="fp16")
    assert not (tmp_path / "x.onnx").exists()


def test_an_unknown_precision_is_refused(tracker, clip, tmp_path):  # noqa: F811
    with pytest.raises(ConfigError, match="precision 'int4': fp32, fp16, int8 are known"):
        exported(tracker, clip, tmp_path / "x.onnx", precision="int4")


def test_the_batch_may_be_fixed(tracker, clip, tmp_path):  # noqa: F811
    exported(tracker, clip, tmp_path / "fixed.onnx", fixed_batch=True)
    exported(tracker, clip, tmp_path / "free.onnx")
    assert session(tmp_path / "fixed.onnx").get_inputs()[0].shape == [1, CONTRACT.observation_dim]
    assert isinstance(session(tmp_path / "free.onnx").get_inputs()[0].shape[0], str)


def test_a_motion_inside_makes_the_graph_of_whole_body_tracking(tracker, clip, tmp_path):  # noqa: F811
    report = exported(tracker, clip, tmp_path / "x.onnx", embed=clip)
    model = session(tmp_path / "x.onnx")
    assert [(i.name, i.shape) for i in model.get_inputs()] == [("obs", [1, 160]), ("time_step", [1, 1])]
    names = ["actions", "joint_pos", "joint_vel", "body_pos_w", "body_quat_w", "body_lin_vel_w", "body_ang_vel_w"]
    assert [output.name for output in model.get_outputs()] == names
    assert report.observation_dim == 160  # 238 with the look-ahead, which is computed inside
    feed = {"obs": np.zeros((1, 160), np.float32)}
    for step, frame in ((30.0, 30), (5000.0, clip.num_frames - 1)):
        outputs = dict(zip(names, model.run(None, {**feed, "time_step": np.array([[step]], np.float32)}), strict=True))
        np.testing.assert_allclose(outputs["joint_pos"][0], clip.joint_pos[frame], atol=1e-6)
        np.testing.assert_allclose(outputs["body_quat_w"][0, 7], clip.body_quat_w[frame, 15], atol=1e-6)  # torso
    metadata = model.get_modelmeta().custom_metadata_map
    assert metadata["observation_names"].endswith("joint_vel,actions") and "reference_window" not in str(
        metadata["observation_names"]
    )


@pytest.mark.parametrize("ahead", [0, 1], ids=["asks for frame k", "asks for frame k + 1"])
def test_the_look_ahead_inside_the_graph_is_that_of_the_observation(clip, ahead):  # noqa: F811
    """The actor shall see what it would see outside; runtimes differ in the frame they ask for."""
    from bm_export.trace_rollout import RolloutConfig, record_rollout

    for scale in (1.0, 0.5):
        terms = [*CONTRACT.observations[:-1], observation_term("reference_window", steps=(4, 8), scale=scale)]
        contract = dataclasses.replace(CONTRACT, observations=tuple(terms))
        run = lambda obs: np.zeros(29, np.float32)  # noqa: E731
        trace = record_rollout(contract, run, [clip], RolloutConfig(ticks=20))
        seen = EmbeddedActor(torch.nn.Identity(), contract, clip)
        assert embedded_contract(contract).observation_dim == 160
        begin = int(max(0, clip.num_frames - 20) / 2) + contract.first_frame
        for tick in range(20):
            obs = torch.from_numpy(trace.observation[tick : tick + 1])
            step = torch.full((1, 1), float(begin + trace.frame[tick] + ahead))
            got = seen(obs[:, :160], step)[0]
            torch.testing.assert_close(got, obs, atol=2e-6, rtol=0)


def test_a_look_ahead_with_history_cannot_be_embedded():
    terms = [*CONTRACT.observations[:-1], observation_term("reference_window", steps=(4,), history=2)]
    with pytest.raises(BundleError, match="cannot be embedded for reference_window with history"):
        embedded_contract(dataclasses.replace(CONTRACT, observations=tuple(terms)))


def test_a_policy_with_its_motion_inside_proves_itself_frame_by_frame(tracker, clip, tmp_path):  # noqa: F811
    exported(tracker, clip, tmp_path / "x.onnx", embed=clip)
    trace = Bundle.read(tmp_path / "x.onnx").trace
    assert trace.time_step.min() > 0 and trace.time_step.max() < clip.num_frames
    assert len(np.unique(trace.time_step // 20)) >= 3  # plays begin all over the motion
    builder = ObservationBuilder(embedded_contract(CONTRACT))
    first = builder.compute(trace.state(0), MotionReference(clip), int(trace.time_step[0]), trace.last_action[0])
    np.testing.assert_allclose(first[:58], trace.observation[0, :58], atol=1e-6)


def test_which_motion_it_is_the_graph_knows_itself(clip):  # noqa: F811
    terms = [
        observation_term("motion_id[other]"),
        *CONTRACT.observations[:-1],
        observation_term(f"motion_id[{clip.name}]", scale=0.5, history=2),
    ]
    contract = dataclasses.replace(CONTRACT, observations=tuple(terms))
    assert embedded_contract(contract).observation_dim == 160
    seen = EmbeddedActor(torch.nn.Identity(), contract, clip)(torch.zeros(1, 160), torch.zeros(1, 1))[0][0]
    assert seen.tolist() == [0.0, *[0.0] * 160, 0.5, 0.5]
