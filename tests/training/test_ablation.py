"""Table II: which trainings there are, when a run counts as completed, what the table says."""

from pathlib import Path

import pytest

from bm_core.errors import BmError, ConfigError
from bm_training.tracking.ablate import Ablate
from bm_training.tracking.ablation import AblationPlan, first_completion, summarize, table_lines


def plan_of(out: Path, **changes) -> AblationPlan:
    options = {
        "out": out,
        "clips": (Path("walk.npz"), Path("kick.csv")),
        "modes": ("uniform", "adaptive"),
        "seeds": 2,
        "max_iterations": 300,
        "check_interval": 100,
    }
    return AblationPlan(**(options | changes))


def checkpoints(run_dir: Path, *iterations: int) -> None:
    (run_dir / "checkpoints").mkdir(parents=True)
    for iteration in iterations:
        (run_dir / "checkpoints" / f"model_{iteration:06d}.pt").touch()


def test_every_clip_mode_and_seed_is_a_run(tmp_path):
    runs = plan_of(tmp_path).runs
    assert len(runs) == 8
    assert runs[0].run_dir == tmp_path / "walk" / "uniform-0"
    assert runs[-1].run_dir == tmp_path / "kick" / "adaptive-1"


def test_a_run_that_was_interrupted_goes_on_and_a_finished_one_is_not_trained_again(tmp_path):
    plan = plan_of(tmp_path)
    run = plan.runs[0]
    assert "--resume" not in plan.training_options(run)
    checkpoints(run.run_dir, 100, 200)
    options = plan.training_options(run)
    assert options[options.index("--resume") + 1] == str(run.run_dir)
    assert options[options.index("--sampling") + 1] == "uniform"
    assert not plan.is_trained(run)
    (run.run_dir / "checkpoints" / "model_000300.pt").touch()
    assert plan.is_trained(run)


def test_the_first_checkpoint_that_completes_counts_and_later_ones_are_not_tried(tmp_path):
    run = plan_of(tmp_path).runs[0]
    checkpoints(run.run_dir, 100, 200, 300)
    tried = []

    def completes(checkpoint, clip):
        tried.append((checkpoint.name, clip.name))
        return checkpoint.name == "model_000200.pt"

    row = first_completion(run, completes)
    assert (row["iterations"], row["checkpoints_tried"], row["trained_iterations"]) == (200, 2, 300)
    assert tried == [("model_000100.pt", "walk.npz"), ("model_000200.pt", "walk.npz")]
    assert first_completion(run, lambda *_: False)["iterations"] is None


def test_the_table_gives_mean_and_seeds_and_says_what_did_not_complete(tmp_path):
    common = {"clip": "walk", "checkpoints_tried": 3, "trained_iterations": 300}
    rows = [{**common, "mode": "adaptive", "seed": seed, "iterations": value} for seed, value in enumerate((100, 200))]
    rows += [{**common, "mode": "uniform", "seed": seed, "iterations": value} for seed, value in enumerate((300, None))]
    lines = table_lines(summarize(rows), ("uniform", "adaptive"))
    assert lines[0] == "| clip | uniform | adaptive |"
    assert lines[2] == "| walk | 1 of 2 not within 300 (300, > 300) | 150 (100, 200) |"


def test_clips_of_one_name_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="two clips are named walk"):
        plan_of(tmp_path, clips=(Path("a/walk.npz"), Path("b/walk.npz")))


WALK = Path(__file__).resolve().parents[2] / "motions" / "walk.npz"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"parallel": 0}, "--parallel 0: must be at least 1"),
        ({"num_envs": 0}, "--num-envs 0: must be at least 1"),
        ({"motions": f"{WALK},"}, "part 2 is empty"),
        ({"motions": f"{WALK},nope.npz"}, "nope.npz: no such file"),
        ({"motions": str(WALK.parent)}, "is a folder"),
        ({"motions": ""}, "nothing is named"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_first_training(options, said, tmp_path, monkeypatch):
    def began(command, plan):
        raise AssertionError("a training began")

    monkeypatch.setattr(Ablate, "_train", began)
    with pytest.raises(BmError, match=said):
        Ablate(**({"out": tmp_path / "out", "motions": str(WALK)} | options))()
    assert not (tmp_path / "out").exists()
