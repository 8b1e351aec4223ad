"""Motion sets that grow by stages: when a stage begins, what is practised then, what a faulty file says."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("isaaclab")

from bm_core.errors import ConfigError  # noqa: E402
from bm_training.sampling import AdaptiveSampler, AdaptiveSamplerConfig, Attribution  # noqa: E402
from bm_training.tracking import stages as stages_module  # noqa: E402
from bm_training.tracking.curriculum import Curriculum, Stage, read_curriculum  # noqa: E402
from bm_training.tracking.stages import Stages, completion  # noqa: E402

NAMES = ["walk", "stream_1", "mjpc_dance", "flip"]
WEIGHTS = [1.0, 2.0, 3.0, 4.0]
DOCUMENT = """
stages:
  - name: walking
    motions: ["walk*", "stream_*"]
    termination_scale: 2.0
  - {name: dances, motions: ["*dance*"], at_iteration: 500}
  - {name: everything, motions: ["*"], at_completion: 0.9, at_iteration: 2000}
"""


@pytest.fixture
def curriculum(tmp_path):
    file = tmp_path / "curriculum.yaml"
    file.write_text(DOCUMENT)
    return Curriculum(read_curriculum(file), NAMES, WEIGHTS)


def test_the_first_stage_holds_its_own_motions_with_the_weights_of_the_set(curriculum):
    assert curriculum.weights == [1.0, 2.0, 0.0, 0.0]


def test_stages_come_by_iteration_or_by_completion_one_after_the_other(curriculum):
    assert not curriculum.advance(499, 0.99)
    assert curriculum.advance(500, 0.0)
    assert curriculum.weights == [1.0, 2.0, 3.0, 0.0]
    assert not curriculum.advance(600, 0.89)
    assert curriculum.advance(601, 0.9)
    assert (curriculum.weights, curriculum.current.name) == (WEIGHTS, "everything")
    assert not curriculum.advance(9999, 1.0)


def test_late_enough_completion_does_not_matter(curriculum):
    curriculum.advance(2500, 0.1)
    assert curriculum.advance(2500, 0.1)


def test_completion_is_that_of_ten_seconds():
    # a failure in one of twenty seconds: 0.95^10
    assert completion(0.05, 1.0, Attribution.FAILURE) == pytest.approx(0.598737)
    # bins of 2 s: five of them; failures of the bin of the start are failures of whole episodes
    assert completion(0.1, 2.0, Attribution.FAILURE) == pytest.approx(0.59049)
    assert completion(0.1, 1.0, Attribution.START) == pytest.approx(0.9)
    # nothing known yet is no completion
    assert completion(0.5, 1.0, Attribution.FAILURE) < 0.001


def environment(monkeypatch):
    sampler = AdaptiveSampler(AdaptiveSamplerConfig(), [101] * 4, WEIGHTS, 50.0, torch.Generator(), NAMES)
    terms = {name: SimpleNamespace(params={"threshold": 0.25}) for name in ("anchor_pos", "anchor_ori", "ee_body_pos")}
    monkeypatch.setattr(stages_module, "motion_command", lambda env: SimpleNamespace(sampler=sampler))
    return SimpleNamespace(termination_manager=SimpleNamespace(get_term_cfg=terms.get)), sampler, terms


def test_a_stage_acts_on_starts_and_terminations(monkeypatch, curriculum):
    env, sampler, terms = environment(monkeypatch)
    control = Stages(curriculum, env, 24)
    assert set(sampler.sample(300)[0].tolist()) == {0, 1}
    assert terms["ee_body_pos"].params["threshold"] == 0.5
    assert control.step(500, 0.05) == {"curriculum/stage": 1.0, "curriculum/completion": pytest.approx(0.598737)}
    assert set(sampler.sample(300)[0].tolist()) == {0, 1, 2}
    assert terms["ee_body_pos"].params["threshold"] == 0.25


def test_a_resumed_run_goes_on_in_its_stage(monkeypatch, curriculum):
    env, sampler, terms = environment(monkeypatch)
    Stages(curriculum, env, 24).continue_at(2, 700)
    assert set(sampler.sample(300)[0].tolist()) == {0, 1, 2, 3}
    assert terms["anchor_pos"].params["threshold"] == 0.25


def test_a_stage_lasts_an_episode_before_its_completion_counts(monkeypatch):
    stages = [Stage(name=name, motions=(name,), at_completion=0.3) for name in ("walk", "flip", "*")]
    env, _, _ = environment(monkeypatch)
    control = Stages(Curriculum(stages, NAMES, WEIGHTS), env, 24)
    # 10 s are 500 control steps: 21 iterations of 24; where nothing is known yet a rate of 0.0 would be 1.0
    reached = [control.step(iteration, 0.0)["curriculum/stage"] for iteration in range(1, 44)]
    assert reached == [0.0] * 20 + [1.0] * 21 + [2.0] * 2
    control.continue_at(1, 21)
    assert (control.step(41, 0.0)["curriculum/stage"], control.step(42, 0.0)["curriculum/stage"]) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("stages: []", "no stages"),
        ("motions: []", "one list, stages"),
        ("stages: []\nstages: [{name: a, motions: ['*']}]", "'stages' twice"),
        ("stages: [{name: a}]", "needs name, and motions or termination_scale"),
        ("stages: [{name: a, motions: walk}]", "list of patterns"),
        ("stages: [{name: a, motions: ['*'], after: 3}]", "unknown key 'after'"),
        ("stages: [{name: a, motions: ['*'], at_iteration: 3}]", "the first stage has neither"),
        ("stages: [{name: a, motions: ['*']}, {name: b, motions: ['*']}]", "the first stage has neither"),
        ("stages: [{name: a, motions: ['*']}, {name: b, motions: ['*'], at_iteration: .inf}]", "at_iteration = inf"),
        ("stages: [{name: a, motions: ['*']}, {name: b, motions: ['*'], at_completion: 1.5}]", "at most 1"),
    ],
)
def test_faulty_files_are_named(tmp_path, text, culprit):
    file = tmp_path / "curriculum.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=culprit):
        read_curriculum(file)


def test_a_stage_may_only_tighten_the_thresholds(tmp_path):
    file = tmp_path / "curriculum.yaml"
    wide = "{name: wide, motions: ['*'], termination_scale: 1.6}"
    file.write_text(f"stages: [{wide}, {{name: tight, at_iteration: 9, termination_scale: 1.0}}]")
    curriculum = Curriculum(read_curriculum(file), NAMES, WEIGHTS)
    assert (curriculum.weights, curriculum.current.termination_scale) == (WEIGHTS, 1.6)
    assert curriculum.advance(9, 0.0)
    assert (curriculum.weights, curriculum.current.termination_scale) == (WEIGHTS, 1.0)


def test_motions_that_no_stage_has_and_stages_that_add_nothing_are_refused():
    first = Stage(name="walking", motions=("walk",))
    with pytest.raises(ConfigError, match="no stage has stream_1"):
        Curriculum([first], NAMES, WEIGHTS)
    everything = Stage(name="everything", motions=("*",), at_iteration=5)
    with pytest.raises(ConfigError, match="stage 'runs' adds no motion"):
        Curriculum([first, everything, Stage(name="runs", motions=("run*",), at_iteration=9)], NAMES, WEIGHTS)
