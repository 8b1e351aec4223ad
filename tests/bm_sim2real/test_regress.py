"""`bm regress`: scenario files are read strictly, verdicts are right, controls and baselines count."""

import json
from xml.etree import ElementTree

import pytest

from bm_core.errors import ConfigError
from bm_sim2real.cli import main
from bm_sim2real.regress.baseline import baseline_file, read_baselines
from bm_sim2real.regress.junit import junit_xml
from bm_sim2real.regress.matrix import VARIATIONS, matrix_of
from bm_sim2real.regress.metrics import Gate
from bm_sim2real.regress.page import regress_page
from bm_sim2real.regress.runs import Measured
from bm_sim2real.regress.scenario import Kind
from bm_sim2real.regress.scenario_file import read_scenario_file, read_scenarios, shipped_files
from bm_sim2real.regress.verdict import Status, judge

STAND = "{name: stands, motion: stand.npz, end_s: 0.4}"


def written(tmp_path, *entries, defaults=""):
    file = tmp_path / "mine.yaml"
    lines = [*([f"defaults: {defaults}"] if defaults else []), "scenarios:", *(f"  - {entry}" for entry in entries)]
    file.write_text("\n".join(lines) + "\n")
    return file


def scenario(tmp_path, text):
    return read_scenario_file(written(tmp_path, text))[0]


def measured(name="stands", **values):
    words = {key: values.pop(key) for key in ("error", "ended_by", "detail", "seed") if key in values}
    return Measured(scenario=name, values=values, **{"seed": 0, **words})


MISTAKES = {
    "not YAML: [": "not valid YAML",
    "scenarios: 3": "scenarios must be a list",
    "- 1": "must be a mapping with the keys scenarios",
    "scenarios: []": "scenarios must be a list",
    "scenarios: [3]": "a mapping such as",
    "scenarios: [{motion: stand.npz}]": "name = None: a text expected",
    "scenarios: [{name: a}]": "a: needs exactly one of motion, brake, task, fault",
    "scenarios: [{name: a, motion: stand.npz, task: joystick}]": "needs exactly one of",
    "scenarios: [{name: a, motion: stand.npz, sped: 3}]": "a: unknown key 'sped'; known: name, about",
    "scenarios: [{name: a, motion: stand.npz, name: b}]": "key 'name' twice",
    "scenarios: [{name: a, motion: nowhere.npz}]": "motion nowhere.npz: no such file",
    "scenarios: [{name: a, motion: 7}]": "motion = 7: a motion file expected",
    "scenarios: [{name: a, policy: p.pt, motion: stand.npz}]": "the name of a policy bundle (.onnx)",
    "scenarios: [{name: a, policy: p.onnx, motion: stand.npz}]": "policy p.onnx: no such file",
    "scenarios: [{name: a, motion: stand.npz, gates: {success_rate: 1}}]": "unknown key 'success_rate'; known: comp",
    "scenarios: [{name: a, motion: stand.npz, gates: {completed: yes}}]": "completed = True: a number expected",
    "scenarios: [{name: a, motion: stand.npz, gates: 3}]": "gates = 3: a mapping",
    "scenarios: [{name: a, motion: stand.npz, seeds: 2}]": "nothing is random here",
    "scenarios: [{name: a, motion: stand.npz, pushes: true, seeds: 0}]": "a whole number from 1 to 1000",
    "scenarios: [{name: a, motion: stand.npz, pushes: true, seeds: [1, 1]}]": "a seed is there twice",
    "scenarios: [{name: a, motion: stand.npz, pushes: -1}]": "a factor above 0 expected",
    "scenarios: [{name: a, motion: stand.npz, pushes: hard}]": "a number expected",
    "scenarios: [{name: a, motion: stand.npz, robot: {mass: 2}}]": "unknown key 'mass'; known: model, delay_ms",
    "scenarios: [{name: a, motion: stand.npz, robot: {delay_ms: 3}}]": "must be a multiple of 2 ms",
    "scenarios: [{name: a, motion: stand.npz, robot: {friction: -1}}]": "must be above 0",
    "scenarios: [{name: a, motion: stand.npz, robot: ice}]": "a mapping such as {friction: 0.5}",
    "scenarios: [{name: a, motion: stand.npz, robot: {model: h1}}]": "unknown; known: g1, mjlab",
    "scenarios: [{name: a, motion: stand.npz, sabotage: rust}]": "unknown; known: zero_action",
    "scenarios: [{name: a, motion: stand.npz, start: lying}]": "unknown; known: reference, stand",
    "scenarios: [{name: a, motion: stand.npz, must_fail: 1}]": "true or false expected",
    "scenarios: [{name: a, brake: 0}]": "a whole number from 1 to 1000 expected",
    "scenarios: [{name: a, task: fly, policy: g1_tracker.onnx}]": "unknown; known: walk-perturb",
    "scenarios: [{name: a, fault: rain}]": "no such fault",
    "{defaults: {name: x}, scenarios: [{name: a, motion: stand.npz}]}": "defaults must be a mapping",
    "{defaults: {colour: x}, scenarios: [{name: a, motion: stand.npz}]}": "defaults: unknown key 'colour'",
    "{tests: [], scenarios: [{name: a, motion: stand.npz}]}": "unknown key 'tests'; known: defaults, scenarios",
    "scenarios: [{name: a, motion: stand.npz}, {name: a, motion: stand.npz}]": "'a' is there twice",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_one_line_that_says_what_is_allowed(text, tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    assert main(["regress", str(file), "--json", str(tmp_path / "out.json")]) == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith("error: ") and "\n" not in line
    assert MISTAKES[text] in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.yaml"]


def test_shipped_scenarios_cover_all_policies_faults_perturbations_and_controls():
    scenarios = read_scenarios(shipped_files())
    assert len(scenarios) >= 25
    assert {one.kind for one in scenarios} == set(Kind)
    assert {one.policy.name for one in scenarios} == {"g1_tracker.onnx", "g1_tracker_se.onnx", "g1_diffusion.onnx"}
    assert sum(one.must_fail for one in scenarios) >= 8
    assert sum(one.pushes is not None for one in scenarios) >= 4


def test_defaults_fill_what_an_entry_leaves_open(tmp_path):
    file = written(tmp_path, STAND, "{name: b, motion: stand.npz, end_s: 2}", defaults="{end_s: 1, must_fail: true}")
    first, second = read_scenario_file(file)
    assert (first.clip.end_s, second.clip.end_s) == (0.4, 2.0)
    assert first.must_fail and second.must_fail


def test_files_are_found_beside_the_scenario_file_first(tmp_path):
    (tmp_path / "stand.npz").write_bytes(b"mine")
    assert scenario(tmp_path, STAND).clip.path == tmp_path / "stand.npz"


def test_optional_scenario_is_skipped_where_its_policy_is_missing(tmp_path):
    one = scenario(tmp_path, "{name: a, motion: stand.npz, policy: not_yet.onnx, optional: true}")
    outcome = judge(one, [], None)
    assert outcome.status is Status.SKIPPED and outcome.passed
    assert "not_yet.onnx: no such file" in outcome.reasons[0]


def test_completion_is_a_gate_even_if_nobody_asks(tmp_path):
    one = scenario(tmp_path, STAND)
    assert one.gates == (Gate(metric="completed", bound=1.0),)
    assert judge(one, [measured(completed=1.0)], None).status is Status.PASSED
    assert judge(one, [measured(completed=1.0), measured(completed=0.0)], None).status is Status.FAILED


def test_gate_is_broken_by_a_number_on_its_wrong_side_and_by_none(tmp_path):
    one = scenario(tmp_path, "{name: stands, motion: stand.npz, gates: {body_error_mm: 20}}")
    assert judge(one, [measured(completed=1.0, body_error_mm=19.9)], None).passed
    assert not judge(one, [measured(completed=1.0, body_error_mm=20.1)], None).passed
    assert not judge(one, [measured(completed=1.0)], None).passed


def test_control_passes_only_by_failing(tmp_path):
    one = scenario(tmp_path, "{name: stands, motion: stand.npz, sabotage: zero_action, must_fail: true}")
    assert judge(one, [measured(completed=0.0)], None).passed
    through = judge(one, [measured(completed=1.0)], None)
    assert through.status is Status.FAILED and "must fail" in through.reasons[0]


def test_control_that_could_not_be_measured_has_not_failed_as_it_must(tmp_path):
    one = scenario(tmp_path, "{name: stands, motion: stand.npz, sabotage: zero_action, must_fail: true}")
    outcome = judge(one, [measured(error="policy.onnx: refused")], None)
    assert outcome.status is Status.ERROR and not outcome.passed


def test_the_wrong_guard_is_no_pass(tmp_path):
    one = scenario(tmp_path, "{name: a, fault: target NaN, ended_by: refused_command}")
    assert judge(one, [measured(as_expected=1.0, ended_by="refused_command")], None).passed
    assert not judge(one, [measured(as_expected=1.0, ended_by="silent_policy")], None).passed
    assert not judge(one, [measured(as_expected=1.0)], None).passed


@pytest.mark.parametrize("now, is_worse", [(11.0, False), (12.0, False), (12.2, True), (2.0, False)])
def test_worse_than_baseline_by_more_than_a_tenth_and_a_millimetre_is_a_regression(now, is_worse, tmp_path):
    baseline = {"completed": 1.0, "body_error_mm": 10.0}
    outcome = judge(scenario(tmp_path, STAND), [measured(completed=1.0, body_error_mm=now)], baseline)
    assert outcome.passed is not is_worse
    assert outcome.regressions == (("body_error_mm",) if is_worse else ())


def test_a_real_run_writes_baseline_json_junit_and_page_and_then_compares(tmp_path, capsys):
    file = written(tmp_path, STAND, "{name: sabotaged, motion: stand.npz, sabotage: reversed_joints, must_fail: true}")
    assert main(["regress", str(file), "--update", "--jobs", "1"]) == 0
    baseline = read_baselines([file])
    assert set(baseline) == {"stands"} and baseline["stands"]["completed"] == 1.0
    outputs = ["--json", str(tmp_path / "r.json"), "--junit", str(tmp_path / "r.xml"), "--report", str(tmp_path / "r")]
    assert main(["regress", str(file), "--jobs", "1", *outputs]) == 0
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["summary"]["passed"] == 2 and document["summary"]["controls"] == 1
    assert document["rows"][0]["values"]["body_error_mm"] == pytest.approx(
        baseline["stands"]["body_error_mm"], rel=1e-3
    )  # lockstep: the same again
    assert ElementTree.parse(tmp_path / "r.xml").getroot().attrib["tests"] == "2"
    page = (tmp_path / "r" / "regress.html").read_text()
    assert "stands" in page and "<path" in page
    baseline["stands"]["body_error_mm"] = 0.1
    baseline_file(file).write_text(json.dumps(baseline))
    assert main(["regress", str(file), "--jobs", "1"]) == 1
    assert "baseline 0.1" in " ".join(capsys.readouterr().out.split())


def test_a_broken_gate_is_never_made_the_baseline(tmp_path):
    file = written(tmp_path, "{name: stands, motion: stand.npz, end_s: 0.4, gates: {body_error_mm: 0.001}}")
    assert main(["regress", str(file), "--update", "--jobs", "1"]) == 1
    assert not baseline_file(file).exists()


def test_damaged_baseline_is_refused_with_the_remedy(tmp_path):
    file = written(tmp_path, STAND)
    for text in ("{", "[]", '{"stands": {"height": 3}}', '{"stands": {"completed": "yes"}}'):
        baseline_file(file).write_text(text)
        with pytest.raises(ConfigError, match="--update"):
            read_baselines([file])


def test_a_refused_policy_fails_its_scenarios_and_leaves_the_others_alone(tmp_path, capsys):
    (tmp_path / "broken.onnx").write_bytes(b"not a network")
    file = written(tmp_path, STAND, "{name: b, motion: stand.npz, end_s: 0.4, policy: broken.onnx}")
    junit = tmp_path / "r.xml"
    assert main(["regress", str(file), "--jobs", "1", "--junit", str(junit)]) == 1
    suite = ElementTree.parse(junit).getroot()
    assert (suite.attrib["errors"], suite.attrib["failures"]) == ("1", "0")
    assert "broken.onnx" in suite.findall("testcase/error")[0].attrib["message"]


def test_texts_of_a_scenario_are_escaped_in_page_and_junit(tmp_path):
    one = scenario(tmp_path, "{name: <script>alert(1)</script>, motion: stand.npz}")
    outcome = judge(one, [measured(one.name, completed=0.0, detail="<b>&</b>")], None)
    summary = {"failed": 1, "passed": 0, "scenarios": 1, "policies": ["<i>"], "runs": 1, "seconds": 1.0}
    page = regress_page([outcome], {**summary, "controls": 0, "skipped": 0})
    assert "<script>" not in page and "<i>" not in page.replace('<i class="key', "").replace("<i style", "")
    assert (
        ElementTree.fromstring(junit_xml([outcome], 1.0)[len('<?xml version="1.0" encoding="utf-8"?>\n') :]) is not None
    )


def test_matrix_varies_what_must_pass_on_the_nominal_robot_only(tmp_path):
    file = written(
        tmp_path,
        STAND,
        "{name: b, motion: stand.npz, robot: {friction: 0.5}}",
        "{name: c, motion: stand.npz, sabotage: zero_action, must_fail: true}",
        "{name: d, fault: target NaN}",
        "{name: e, brake: 2}",
    )
    cells = matrix_of(read_scenario_file(file))
    assert [scenario.name for scenario, _, _ in cells] == ["stands"] * len(VARIATIONS) + ["e"] * len(VARIATIONS)
    frictions = {variation: varied.simulation.friction for _, variation, varied in cells}
    assert frictions["friction 0.5"] == 0.5 and frictions["mass +10 %"] == 1.0
