"""What a training run refuses: one line before the simulator starts, and no folder left behind."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("isaaclab")

import isaaclab.app  # noqa: E402

from bm_core.errors import ConfigError  # noqa: E402
from bm_training.diffusion.task_setup import teacher_task  # noqa: E402
from bm_training.tracking import benchmark_task, tracking_env  # noqa: E402
from bm_training.tracking.checkpoint import CheckpointFolder, check_run_dir  # noqa: E402
from bm_training.tracking.clip_options import ClipOptions  # noqa: E402
from bm_training.tracking.distill import Distill  # noqa: E402
from bm_training.tracking.evaluate import EvaluateIsaacLab  # noqa: E402
from bm_training.tracking.run_start import differing_options  # noqa: E402
from bm_training.tracking.sampling_options import SamplingOptions  # noqa: E402
from bm_training.tracking.simulation import simulation  # noqa: E402
from bm_training.tracking.train import TrainTracking  # noqa: E402

WALK = Path(__file__).resolve().parents[2] / "motions" / "walk.npz"
TRACKER = WALK.parents[1] / "policies" / "g1_tracker.pt"
NOWHERE = Path("nowhere")


def train(run_dir: Path, **options) -> TrainTracking:
    clips = ClipOptions(motions=str(WALK))
    return TrainTracking(**({"run_dir": run_dir, "clips": clips, "device": "cpu", "num_envs": 8} | options))


@pytest.fixture
def no_simulator(monkeypatch):
    def launch_simulation(cfg, _):
        raise AssertionError("the simulator was started")

    monkeypatch.setattr(isaaclab.app, "launch_simulation", launch_simulation)
    monkeypatch.setitem(sys.modules, "wandb", None)


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        ({"wandb_project": "g1"}, "pip install wandb"),
        ({"curriculum": NOWHERE}, "nowhere"),
        ({"sampler": SamplingOptions(bin_probabilities=NOWHERE)}, "nowhere"),
        ({"init_from": TRACKER.with_suffix(".onnx")}, r"an exported bundle; give the run or checkpoint"),
        ({"resume": NOWHERE}, "nowhere: neither a checkpoint nor a run"),
        ({"init_from": NOWHERE}, "nowhere: neither a checkpoint nor a run"),
        ({"num_mini_batches": 0}, "num_mini_batches >= 1"),
        ({"num_mini_batches": 1000}, "more than there are steps"),
        ({"num_envs": 0}, "num_envs = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"device": "abacus"}, "--device abacus: "),
        ({"learning_rate": float("nan")}, "learning_rate = nan"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0"),
        ({"desired_kl": float("inf")}, "desired_kl = inf"),
        ({"entropy_coef": float("nan")}, "entropy_coef = nan"),
        ({"save_interval": 0}, "save_interval = 0"),
        ({"keep_last": 0}, "keep_last = 0"),
        ({"keep_last": -1}, "keep_last = -1"),
        ({"max_minutes": float("nan")}, "max-minutes nan"),
        ({"sampler": SamplingOptions(bin_s=float("inf"))}, "bin_s = inf"),
        ({"sampler": SamplingOptions(bin_s=0.001)}, "raise bin_s"),
        ({"reference_window": "4,-8"}, "window 4,-8: frames above 0 in ascending order"),
        ({"reference_window": "0"}, "window 0: frames above 0"),
        ({"reference_window": "4,4"}, "window 4,4: frames above 0"),
        ({"reference_window": "4,"}, "frames such as 4,8,16"),
        *(({"max_delay_ms": ms}, "0 to 20 in steps of 5 ms") for ms in (25.0, -5.0, 7.0, float("nan"))),
    ],
)
def test_a_bad_value_is_told_before_there_is_a_simulator_or_a_folder(tmp_path, no_simulator, options, culprit):
    run_dir = tmp_path / "run"
    with pytest.raises(ConfigError, match=culprit) as told:
        train(run_dir, **options)()
    assert "\n" not in str(told.value)
    assert not run_dir.exists()


@pytest.mark.parametrize(("ms", "steps"), [(0.0, 0), (15.0, 3), (20.0, 4)])
def test_diffusion_commands_take_the_same_delays(ms, steps):
    teacher = type("Teacher", (), {"state_estimation": False, "reference_window": ()})()
    motions = type("Motions", (), {"on_device": None})()
    options = {"num_envs": 1, "backend": "newton", "device": "cpu", "seed": 0}
    assert teacher_task(teacher, motions, max_delay_ms=ms, **options).max_delay_steps == steps
    with pytest.raises(ConfigError, match="0 to 20"):
        teacher_task(teacher, motions, max_delay_ms=ms + 7.0, **options)


def test_what_is_refused_inside_the_simulation_prints_no_traceback(capsys):
    closed = []

    @contextmanager
    def launch_simulation(cfg, _):  # as Isaac Lab's
        try:
            yield
        except SystemExit as error:
            closed.append(error.code)
            raise
        except Exception:
            sys.stderr.write("Traceback")
            raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(isaaclab.app, "launch_simulation", launch_simulation)
        with pytest.raises(ConfigError, match="no such motion"), simulation(None):
            raise ConfigError("no such motion")
        assert capsys.readouterr().err == ""
        assert closed == [2]
        with pytest.raises(ZeroDivisionError), simulation(None):
            _ = 1 / 0
        with pytest.raises(SystemExit), simulation(None):
            sys.exit(5)


def evaluate(run_dir):
    EvaluateIsaacLab(
        policy=TRACKER.with_suffix(".onnx"), clips=ClipOptions(motions=str(WALK)), device="cpu", num_envs=2
    )()


def benchmark(run_dir):
    sizes = {"njmax": 50, "nconmax": 20, "num_envs": 2, "library_minutes": 1e-3}
    benchmark_task.measure({"motion": str(WALK), "device": "cpu", "solver_loop": False, **sizes})


@pytest.mark.parametrize("command", [lambda run_dir: train(run_dir)(), evaluate, benchmark])
def test_no_command_shows_isaac_lab_an_error_that_the_user_can_act_on(command, tmp_path, monkeypatch):
    seen = []

    @contextmanager
    def launch_simulation(cfg, _):
        try:
            yield
        except BaseException as error:
            seen.append(type(error))
            raise

    def no_environment(cfg):
        raise ConfigError("no room for these robots")

    monkeypatch.setattr(isaaclab.app, "launch_simulation", launch_simulation)
    monkeypatch.setattr(tracking_env, "TrackingEnv", no_environment)
    with pytest.raises(ConfigError, match="no room"):
        command(tmp_path / "run")
    assert seen == [SystemExit]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"teacher": (f"{TRACKER.with_suffix('.onnx')}=dance",)}, "nobody teaches walk"),
        ({"teacher": (str(TRACKER.with_suffix(".onnx")),) * 2}, "g1_tracker: teaches no motion of this run"),
        ({"teacher": (str(TRACKER.with_suffix(".onnx")),), "lead_iterations": -1}, "lead_iterations = -1"),
    ],
)
def test_teachers_that_do_not_fit_are_told_before_there_is_a_simulator(options, said, tmp_path, no_simulator):
    clips = ClipOptions(motions=str(WALK))
    with pytest.raises(ConfigError, match=said):
        Distill(**({"run_dir": tmp_path / "run", "clips": clips, "device": "cpu", "num_envs": 8} | options))()
    assert not (tmp_path / "run").exists()


# -- one run a folder


def folder_of(run_dir: Path, *iterations: int, keep_last: int = 9) -> CheckpointFolder:
    folder = CheckpointFolder(run_dir=run_dir, keep_last=keep_last)
    for iteration in iterations:
        folder.save({"format": 1, "iteration": iteration}, iteration)
    return folder


def test_a_folder_that_holds_a_run_is_not_trained_into(tmp_path, no_simulator):
    old, other = folder_of(tmp_path / "old", 10, 20), folder_of(tmp_path / "other", 30)
    for options in ({}, {"init_from": old.run_dir}, {"resume": other.run_dir}):
        with pytest.raises(ConfigError, match=r"old: holds a run already \(model_000020.pt\); --resume it, or give"):
            train(old.run_dir, **options)()
    with pytest.raises(ConfigError, match="holds a run already"):
        Distill(run_dir=old.run_dir, teacher=("x",), clips=ClipOptions(motions=str(WALK)))()
    with pytest.raises(ConfigError, match=r"notes.md: a file, not the folder of a run"):
        (tmp_path / "notes.md").write_text("mine")
        check_run_dir(tmp_path / "notes.md")
    check_run_dir(old.run_dir, old.run_dir)
    check_run_dir(old.run_dir, old.folder / "model_000020.pt")
    check_run_dir(tmp_path / "new", old.run_dir)
    with pytest.raises(ConfigError, match=r"already \(model_000020.pt\); give another --run-dir"):
        check_run_dir(old.run_dir, can_resume=False)


def test_an_older_state_is_resumed_in_another_folder_only(tmp_path):
    run = folder_of(tmp_path, 10, 20)
    run.save_best({"format": 1, "iteration": 10})
    for name in ("model_000010.pt", "best.pt"):
        with pytest.raises(ConfigError, match=rf"{name}: its run has gone on to model_000020.pt; resume from that"):
            check_run_dir(tmp_path, run.folder / name)
        check_run_dir(tmp_path / "new", run.folder / name)
    run.save_best({"format": 1, "iteration": 20})
    check_run_dir(tmp_path, run.folder / "best.pt")


def test_checkpoints_of_later_numbers_do_not_push_out_new_ones(tmp_path):
    folder = folder_of(tmp_path, 100, 200, keep_last=2)
    for iteration in (1, 2, 3):
        assert folder.save({"format": 1}, iteration).is_file()
    assert [path.name for path in folder.numbered()] == [f"model_{n:06d}.pt" for n in (2, 3, 100, 200)]


def test_a_million_steps_are_more_than_ten_thousand(tmp_path):
    folder = folder_of(tmp_path, 999_999, 1_000_000, keep_last=1)
    assert [path.name for path in folder.numbered()] == ["model_1000000.pt"]


# -- resumed with other options


def test_only_options_that_change_what_is_learned_are_told(tmp_path):
    then = train(tmp_path, max_iterations=6, sampler=SamplingOptions(attribution="start"))
    state = {"provenance": {"options": then._options()}}
    now = dataclasses.replace(then, resume=tmp_path, max_iterations=9, keep_last=5, run_dir=tmp_path / "b")
    assert differing_options(state, now._options()) == []
    now = dataclasses.replace(now, max_delay_ms=5.0, sampler=SamplingOptions(adaptive_after=3))
    assert sorted(differing_options(state, now._options())) == [
        "--adaptive-after 3 (was 0)",
        "--attribution failure (was start)",
        "--max-delay-ms 5.0 (was 20.0)",
    ]
    assert differing_options({}, now._options()) == []
