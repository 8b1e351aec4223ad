"""report.html and its plots: every clip is on the page, nothing foreign gets in, nothing is fetched."""

import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from bm_sim2real import plots
from bm_sim2real.plots_clip import clamp_words, clip_figure
from bm_sim2real.report import by_error, report_html
from bm_sim2real.report_data import ClipReport, ClipTracks, Report
from bm_sim2real.report_record import hardest_window
from bm_sim2real.video_clip import ClipVideo

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
VOID = {"meta", "img", "br", "link", "path", "rect"}


class Page(HTMLParser):
    """Tags in order, text, addresses; fails on a tag that is closed in the wrong place."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.addresses, self._open = [], "", [], []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


def tracks(rows=100, seed=0):
    rng = np.random.default_rng(seed)
    return ClipTracks(
        body_error=rng.uniform(0.0, 0.1, (rows, 14)),
        anchor_height=np.full(rows, 0.8),
        anchor_height_reference=np.full(rows, 0.81),
        joint_error=rng.uniform(0.0, 0.3, (rows, 29)),
        torque_share=rng.uniform(0.0, 1.0, (rows, 29)),
        robot_contact=rng.random((rows, 2)) < 0.5,
        reference_contact=rng.random((rows, 2)) < 0.5,
        tick_ms=rng.uniform(0.1, 1.0, rows),
    )


def clip(name, *, rows=100, completed=True, error=0.03, **changes):
    values = {
        "name": name,
        "seconds": 2.0,
        "completed": completed,
        "ending": "" if completed else "ee_body_pos tripped 1.00 s into the clip",
        "joint_error_rad": 0.1,
        "body_error_m": error,
        "anchor_error_m": 0.05,
        "tick_ms": {"p50": 0.2, "p99": 0.9, "max": 1.0},
        "effort_clamps": 12,
        "hard_stop_clamps": 0,
        "clamp_share": 0.001,
        "tracks": tracks(rows),
    }
    return ClipReport(**{**values, **changes})


def report(*clips, **changes):
    completed = sum(c.completed for c in clips)
    summary = {
        "clips": len(clips),
        "completed": completed,
        "completion_rate": completed / max(1, len(clips)),
        "body_error_m": 0.03,
        "anchor_error_m": 0.05,
        "tick_ms": {"p50": 0.2, "p99": 0.9, "max": 1.0},
        "realtime_factor": 9.0,
    }
    values = {
        "policy": [("File", "tiny.onnx")],
        "terms": [("command", 58)],
        "machine": [("Processor", "a & b")],
        "summary": summary,
        "clips": clips,
        "promise": "Nothing is promised.",
        "verdict": "not judged",
        "made": "today",
    }
    return Report(**{**values, **changes})


def test_every_clip_is_in_the_table_and_has_its_own_figure():
    names = ["walk", "dance", "stand"]
    page = Page(report_html(report(*[clip(name) for name in names])))
    assert all(page.text.count(name) >= 2 for name in names)
    assert page.tags.count("article") == 3 and page.tags.count("table") == 1
    links = [address for address in page.addresses if address.startswith("#")]
    assert len(set(links)) == 3


def test_table_links_lead_to_the_articles():
    html = report_html(report(clip("walk"), clip("a b/c")))
    assert sorted(re.findall(r'href="#(clip-[^"]+)"', html)) == sorted(re.findall(r'id="(clip-[^"]+)"', html))


def test_hostile_names_and_texts_stay_text():
    hostile = clip(HOSTILE, ending=HOSTILE, made_by=HOSTILE, completed=False, no_video=HOSTILE)
    page = Page(report_html(report(hostile, promise=HOSTILE, policy=[(HOSTILE, HOSTILE)], notes=[HOSTILE])))
    assert page.tags.count("script") == 1
    assert page.text.count(HOSTILE) >= 7
    assert "x" not in page.addresses


def test_the_page_fetches_nothing():
    video = ClipVideo(mime="video/mp4", data=b"film", start_s=0.0, seconds=2.0, source="a test")
    html = report_html(report(clip("walk", video=video), clip("dance")))
    assert all(address.startswith(("#", "data:")) for address in Page(html).addresses)
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttp", html)


def test_an_animated_picture_takes_the_place_of_a_film():
    gif = ClipVideo(mime="image/gif", data=b"GIF89a", start_s=0.0, seconds=2.0, source="a test")
    page = Page(report_html(report(clip("walk", video=gif))))
    assert "video" not in page.tags and any(a.startswith("data:image/gif") for a in page.addresses)


def test_a_clip_that_was_refused_is_still_on_the_page():
    nan = float("nan")
    refused = clip(
        "jump", rows=0, completed=False, error=nan, joint_error_rad=nan, anchor_error_m=nan, tick_ms={},
        ending="cannot be entered from standing",
    )  # fmt: skip
    page = Page(report_html(report(refused, clip("walk"))))
    assert "cannot be entered from standing" in page.text


def test_failed_clips_come_first_then_the_largest_error():
    clips = [clip("small", error=0.01), clip("large", error=0.09), clip("fell", completed=False, error=0.02)]
    assert [c.name for c in by_error(clips)] == ["fell", "large", "small"]


@pytest.mark.parametrize(
    ("verdict", "word"), [("passed", "Passed"), ("failed", "Failed"), ("not judged", "Not judged")]
)
def test_the_verdict_is_written_in_the_head(verdict, word):
    assert re.search(rf'class="verdict [a-z]+">{word}<', report_html(report(clip("walk"), verdict=verdict)))


def test_the_time_after_a_failure_is_marked_and_keeps_its_axis():
    fell = clip("fell", rows=50, completed=False)
    assert "--played:0.5000" in clip_figure(fell) and 'data-seconds="2"' in clip_figure(fell)
    assert "--played" not in clip_figure(clip("walk"))


def test_guard_clamps_are_told_in_words():
    assert clamp_words(clip("walk", effort_clamps=0, hard_stop_clamps=0)) == "none"
    assert clamp_words(clip("walk")) == "12 joint ticks at the effort limit (0.10% of all)"


def test_ticks_are_round_numbers_inside_the_range():
    assert plots.nice_ticks(0.0, 1.0, 4) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert plots.nice_ticks(0.0, 73.0, 4) == [0.0, 20.0, 40.0, 60.0]
    assert plots.nice_ticks(-1.2, 1.2, 3) == [-1.0, 0.0, 1.0]
    assert plots.nice_ticks(0.5, 0.5, 4) == [0.5]


def test_a_gap_in_the_data_is_a_gap_in_the_curve():
    path = plots.curve_path(np.array([0.0, 1.0, np.nan, 1.0]), 0.0, 1.0)
    assert path == "M125 100L375 0M875 0"


def test_a_single_peak_in_a_long_recording_survives():
    values = np.zeros(30000)
    values[17123] = 5.0
    path = plots.curve_path(values, 0.0, 5.0)
    heights = [float(y) for _, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]
    assert min(heights) == 0.0 and heights.count(0.0) == 1
    assert len(heights) <= 2 * plots.MAX_BINS


def test_the_heat_map_is_clear_at_zero_and_solid_at_the_top():
    values = np.zeros((1000, 3))
    values[400, 1] = 9.0
    picture = np.asarray(Image.open(io.BytesIO(plots.heat_png(values, 0.5))).convert("RGBA"))
    assert picture.shape == (3, plots.MAX_BINS, 4)
    opaque = np.argwhere(picture[..., 3] == 255)
    assert opaque.tolist() == [[1, int(400 * plots.MAX_BINS / 1000)]]
    assert (picture[..., 3] > 0).sum() == 1


def test_spans_are_the_runs_of_true_values():
    flags = np.array([True, False, True, True, False, True])
    assert plots.true_spans(flags) == [(0, 1), (2, 4), (5, 6)]
    assert plots.true_spans(np.zeros(4, dtype=bool)) == []


def test_the_histogram_marks_the_period_only_when_it_is_on_the_axis():
    assert "period" in plots.histogram([1.0, 30.0], "ms", marks=[("period", 20.0)])
    assert "period" not in plots.histogram([1.0, 2.0], "ms", marks=[("period", 20.0)])
    assert "Nothing was measured" in plots.histogram([], "ms")


def test_the_film_shows_the_stretch_with_the_largest_error():
    error = np.array([0.0, 1.0, 0.0, 3.0, 3.0, 0.0])
    assert hardest_window(error, 2) == 3
    assert hardest_window(error, 6) == 0
