"""`bm eval wire`: does the path over DDS change how well a clip is tracked?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class EvalWire:
    """Track clips in one process and through the bridge over real DDS topics, in lockstep at equal delay; compare the
    body errors. Exit 0 passed, 1 failed, 2 could not run.

    With --processes in real time: `bm sim-robot`, bridge and policy each a process of its own, against one process
    with the delay that was found and, clip by clip, the stance that the robot had come to (wants an idle machine).
    """

    policy: Path | None = None
    """Policy bundle (.onnx); default: the shipped g1_tracker.onnx."""
    motions: str | None = None
    """Motion files and folders between commas; default: the shipped clips."""
    delay_ms: int = 0
    """From command to motor on both paths, beside the wire's own 2 ms; a multiple of 2."""
    processes: bool = False
    """Real time instead of lockstep."""
    most: float = 0.1
    """Passed needs every clip's errors to differ by at most this share."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from rich.table import Table

        from bm_core.data import shipped
        from bm_core.errors import ConfigError
        from bm_sim2real.clip_files import chosen_clips
        from bm_sim2real.commands.progress import tracked, wide_console
        from bm_sim2real.policies.tracker import TrackerPolicy, base_state_needed
        from bm_sim2real.result_json import write_result
        from bm_sim2real.robots.unitree.dds import own_tag
        from bm_sim2real.wire_evaluation import compare_paths, entry_refusal, summarize_paths
        from bm_sim2real.wire_processes import compare_processes

        own_tag("wire")
        path = self.policy or shipped("policies", "g1_tracker.onnx")
        policy = TrackerPolicy.load(path)
        chosen = [file.load() for file in chosen_clips(self.motions, None, None)]
        refused = {clip.name: reason for clip in chosen if (reason := entry_refusal(policy, clip))}
        clips = [clip for clip in chosen if clip.name not in refused]
        if not clips:
            raise ConfigError(f"none of these motions begins where a standing robot can enter it: {', '.join(refused)}")
        if self.processes:
            with tracked("clips", 2 * len(clips)) as advance:
                results = compare_processes(path, clips, lambda: advance(None))
        else:
            results = []
            with tracked("clips", len(clips)) as advance:
                for clip in clips:
                    base_state = base_state_needed(policy.contract)
                    results.append(compare_paths(policy, clip, base_state, self.delay_ms))
                    advance(results[-1])
        summary = {**summarize_paths(results, self.most), "left_out": refused}
        table = Table("clip", box=None, header_style="bold", pad_edge=False)
        for heading in ("in process mm", "wire mm", "difference"):
            table.add_column(heading, justify="right")
        table.add_column("")
        for result in results:
            errors = (f"{1e3 * result.in_process_m:.2f}", f"{1e3 * result.wire_m:.2f}", f"{result.difference:+.1%}")
            table.add_row(result.clip, *errors, result.failure)
        console = wide_console()
        console.print(table)
        for reason in refused.values():
            console.print(f"left out: {reason}", markup=False)
        if self.processes:
            console.print(f"median delay from reading to motor over the wire: {results[0].delay_ms} ms")
        console.print(f"all clips: {summary['difference']:+.1%}, worst {summary['worst_difference']:+.1%}")
        passed = not summary["failed"]
        if self.json is not None:
            rows = [{**vars(result), "difference": result.difference} for result in results]
            write_result(self.json, command="eval wire", rows=rows, summary=summary, passed=passed)
        console.print("passed" if passed else "FAILED")
        return 0 if passed else 1
