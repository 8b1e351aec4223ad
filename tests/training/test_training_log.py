"""What a run logs: TensorBoard and W&B hold curves, rates and errors of each motion, and the heat map of the bins."""

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from bm_core.errors import ConfigError  # noqa: E402
from bm_training.sampling import AdaptiveSampler, AdaptiveSamplerConfig  # noqa: E402
from bm_training.sampling.bin_history import bin_axis  # noqa: E402
from bm_training.tracking.error_log import ErrorLog  # noqa: E402
from bm_training.tracking.runner_config import RunnerConfig  # noqa: E402
from bm_training.tracking.training_log import TrainingLog  # noqa: E402


def write_run(folder, iterations=10, **options):
    sampler = AdaptiveSampler(AdaptiveSamplerConfig(), [101, 51], [1.0, 1.0], 50.0, torch.Generator(), ["walk", "kick"])
    log = TrainingLog(folder, lambda line: None, **options)
    for iteration in range(1, iterations + 1):
        sampler.end_iteration()
        log.write(iteration, {"reward/total": 0.5, "sampler/entropy": 1.0, "time/steps_per_second": 100.0})
        log.bins(bin_axis(sampler), sampler.snapshot())
        log.motions(iteration, sampler.motion_failure_rates(), {"walk": {"body_pos_m": 0.04}})
    log.close()


def test_tensorboard_holds_curves_motions_and_heat_map(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    write_run(tmp_path)
    events = accumulator(str(tmp_path))
    events.Reload()
    scalars = set(events.Tags()["scalars"])
    assert {"reward/total", "sampler/entropy", "time/steps_per_second"} <= scalars
    assert {"motion_failure/walk", "motion_failure/kick", "motion_body_pos_m/walk"} <= scalars
    assert events.Scalars("motion_failure/kick")[-1].value == pytest.approx(0.5)
    assert [image.step for image in events.Images("sampler/heat_map")] == [10]


class FakeRun:
    def __init__(self):
        self.logged, self.is_finished = [], False

    def log(self, values, step):
        self.logged.append((step, values))

    def finish(self):
        self.is_finished = True


def test_wandb_gets_the_same_and_is_offline_unless_asked(tmp_path, monkeypatch):
    run, asked = FakeRun(), {}
    fake = ModuleType("wandb")
    fake.init = lambda **options: (asked.update(options), run)[1]
    fake.Image = lambda array: SimpleNamespace(shape=array.shape)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    write_run(tmp_path, wandb_project="g1")
    assert (asked["project"], asked["mode"], asked["dir"]) == ("g1", "offline", str(tmp_path))
    merged = {name: value for _, values in run.logged for name, value in values.items()}
    assert {"reward/total", "motion_failure/kick", "motion_body_pos_m/walk", "sampler/heat_map"} <= set(merged)
    assert merged["sampler/heat_map"].shape[-1] == 3 and run.is_finished
    assert [step for step, _ in run.logged] == sorted(step for step, _ in run.logged)  # W&B drops what goes back


def test_a_real_offline_run_lands_below_the_runs_folder(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    write_run(tmp_path, iterations=2, wandb_project="g1")
    assert len(list(tmp_path.glob("wandb/offline-run-*/*.wandb"))) == 1


def test_without_wandb_the_option_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match="pip install wandb"):
        TrainingLog(tmp_path, lambda line: None, wandb_project="g1")


def test_other_ranks_write_nothing(tmp_path):
    log = TrainingLog(None, lambda line: None, wandb_project="g1")
    log.write(1, {"reward/total": 0.5})
    log.motions(1, {}, {})
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_motions_are_logged_as_lines(tmp_path):
    write_run(tmp_path, iterations=2)
    lines = [json.loads(line) for line in (tmp_path / "motions.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [1, 2]
    assert lines[1]["errors"] == {"walk": {"body_pos_m": 0.04}}


def test_errors_are_means_by_motion_and_a_diverged_robot_does_not_spoil_them():
    log = ErrorLog(["walk", "kick", "idle"], "cpu")
    reference, robot = (
        SimpleNamespace(joint_pos=torch.zeros(3, 29)),
        SimpleNamespace(joint_pos=torch.full((3, 29), 0.2)),
    )
    motion = SimpleNamespace(reference=reference, robot=robot, motion_id=torch.tensor([0, 0, 1]))
    square = torch.tensor([[0.01] * 14, [0.09] * 14, [float("nan")] * 14])  # 0.1 m and 0.3 m
    errors = SimpleNamespace(
        anchor_pos_sq=square[:, 0],
        anchor_ori=torch.zeros(3),
        body_pos_sq=square,
        body_ori=torch.zeros(3, 14),
        body_lin_vel_sq=square,
        body_ang_vel_sq=square,
    )
    log.add(motion, errors)
    log.add(motion, errors)
    overall, by_motion = log.pop()
    assert set(by_motion) == {"walk", "kick"}
    assert by_motion["walk"]["body_pos_m"] == pytest.approx(0.2)
    assert by_motion["kick"] == {name: pytest.approx(0.2 if name == "joint_pos_rad" else 0.0) for name in overall}
    assert overall["joint_pos_rad"] == pytest.approx(0.2)
    assert log.pop()[1] == {}


@pytest.mark.parametrize(("iteration", "is_due"), [(0, True), (19, False), (20, True), (3980, True), (4020, False)])
def test_rows_of_long_runs_are_rarer(tmp_path, iteration, is_due):
    # 20 iterations a row up to row 200 (iteration 4000), then 40, then 80 from iteration 8000 on
    config = RunnerConfig(run_dir=tmp_path)
    assert config.is_row_due(iteration) == is_due
    assert np.count_nonzero([config.is_row_due(i) for i in range(32_000)]) == 200 + 3 * 100
