"""JUnit XML, which every CI system reads."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from bm_sim2real.regress.verdict import Outcome, Status


def junit_xml(outcomes: Sequence[Outcome], seconds: float) -> str:
    """One test case a scenario; the policy's name is its class."""
    counts = {status: sum(outcome.status is status for outcome in outcomes) for status in Status}
    suite = ElementTree.Element(
        "testsuite",
        name="bm regress",
        tests=str(len(outcomes)),
        failures=str(counts[Status.FAILED]),
        errors=str(counts[Status.ERROR]),
        skipped=str(counts[Status.SKIPPED]),
        time=f"{seconds:.1f}",
    )
    for outcome in outcomes:
        scenario = outcome.scenario
        case = ElementTree.SubElement(
            suite, "testcase", name=scenario.name, classname=scenario.policy.stem, time=f"{outcome.seconds:.2f}"
        )
        if outcome.status is Status.PASSED:
            continue
        tag = {Status.FAILED: "failure", Status.ERROR: "error", Status.SKIPPED: "skipped"}[outcome.status]
        ElementTree.SubElement(case, tag, message="; ".join(outcome.reasons)).text = outcome.detail
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"
