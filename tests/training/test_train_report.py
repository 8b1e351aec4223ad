"""`bm train report`: what a run wrote comes back, during the run, after a resume, and from runs that know less."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from bm_core.errors import ConfigError  # noqa: E402
from bm_training.sampling import AdaptiveSampler, AdaptiveSamplerConfig  # noqa: E402
from bm_training.sampling.bin_history import bin_axis  # noqa: E402
from bm_training.tracking.report import ReportRun  # noqa: E402
from bm_training.tracking.report_curves import smoothed  # noqa: E402
from bm_training.tracking.run_record import read_run, top_bins  # noqa: E402
from bm_training.tracking.training_log import TrainingLog  # noqa: E402

PNG = b"\x89PNG\r\n\x1a\n"


def write_run(folder, iterations):
    """Two clips; the second one's last bin keeps failing."""
    generator = torch.Generator().manual_seed(0)
    sampler = AdaptiveSampler(AdaptiveSamplerConfig(), [101, 151], [1.0, 1.0], 50.0, generator, ["walk", "a<b"])
    log = TrainingLog(folder, report=lambda line: None)
    for iteration in range(1, iterations + 1):
        sampler.add_entries(torch.arange(5), torch.full((5,), 40.0, dtype=torch.float64))
        sampler.add_failures(torch.tensor([4]), torch.tensor([30.0], dtype=torch.float64))
        sampler.end_iteration()
        values = {"reward/total": 0.1 * iteration, "time/steps": 1000.0 * iteration, "error/body_pos_m": 0.05}
        log.write(iteration, values)
        log.bins(bin_axis(sampler), sampler.snapshot())
        log.motions(iteration, sampler.motion_failure_rates(), {"a<b": {"body_pos_m": 0.0412}})
    log.close()


def test_a_run_is_read_back(tmp_path):
    write_run(tmp_path, 6)
    record = read_run(tmp_path)
    iterations, rewards = record.curve("reward/total")
    np.testing.assert_allclose(iterations, [1, 2, 3, 4, 5, 6])
    np.testing.assert_allclose(rewards, 0.1 * iterations)
    assert [row.name for row in record.motions] == ["a<b", "walk"]
    assert record.motions[0].failure_rate > 0.2 > record.motions[1].failure_rate
    name, probability, rate = top_bins(record, 3)[0]
    assert (name, probability > 0.3, rate > 0.7) == ("a<b[2]", True, True)


def test_a_resumed_run_and_a_line_that_is_being_written_are_understood(tmp_path):
    write_run(tmp_path, 3)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(json.dumps({"iteration": 3, "reward/total": 9.0}) + "\n" + '{"iteration": 4, "rew')
    record = read_run(tmp_path)
    assert [line["iteration"] for line in record.lines] == [1, 2, 3]
    assert record.curve("reward/total")[1][-1] == 9.0


def test_the_page_holds_curves_heat_map_and_motions(tmp_path):
    write_run(tmp_path, 6)
    assert ReportRun(run=tmp_path)() == 0
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "a&lt;b[2]" in page and "a<b" not in page
    assert "41.2" in page and "nan" not in page


def test_tables_say_of_which_iteration_they_are(tmp_path):
    write_run(tmp_path, 6)
    with (tmp_path / "log.jsonl").open("a") as file:  # the curves go on; the next row of the tables is not due yet
        file.write(json.dumps({"iteration": 9, "reward/total": 0.9}) + "\n")
    assert ReportRun(run=tmp_path)() == 0
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Likeliest starts at iteration 6</h2>" in page and "<h2>Motions at iteration 6</h2>" in page


def test_pictures_are_png_files(tmp_path):
    write_run(tmp_path, 6)
    assert ReportRun(run=tmp_path, out=tmp_path / "curves.png")() == 0
    for name in ("curves.png", "curves_bins.png"):
        assert (tmp_path / name).read_bytes()[:8] == PNG


def test_a_run_without_a_table_of_bins_still_has_curves(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"iteration": 1, "reward/total": 0.5}\n')
    assert ReportRun(run=tmp_path)() == 0
    assert (tmp_path / "report.html").read_text().count("data:image/png;base64,") == 1


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no log of a training run"):
        ReportRun(run=tmp_path)()
    write_run(tmp_path, 2)
    with pytest.raises(ConfigError, match="html or .png"):
        ReportRun(run=tmp_path, out=tmp_path / "page.pdf")()


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ('{"iteration": 1, "train/loss": 0.5, "val/loss": 0.6}\n', "of another training than tracking; tensorboard"),
        ('{"loss": 0.5}\n', "a line without its iteration"),
        ("3\n", "a line without its iteration"),
        ("\udcff", "no text"),
    ],
)
def test_a_log_of_something_else_is_refused_in_one_line(log, said, tmp_path):
    (tmp_path / "log.jsonl").write_bytes(log.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=said) as refusal:
        ReportRun(run=tmp_path)()
    assert "\n" not in str(refusal.value) and not (tmp_path / "report.html").exists()


def test_smoothing_keeps_constants_and_ends():
    np.testing.assert_allclose(smoothed(np.full(9, 2.5), 3), 2.5)
    # ends: means of the first two and the last two
    np.testing.assert_allclose(smoothed(np.array([0.0, 2.0, 4.0, 6.0]), 1), [1.0, 2.0, 4.0, 5.0])
