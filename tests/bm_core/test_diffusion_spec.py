"""A diffusion model's spec from JSON: what it says comes back, and what no program could follow is refused by name."""

import json

import pytest
from test_diffusion_sampler import SPEC

from bm_core.diffusion.spec import DiffusionSpec
from bm_core.errors import BundleError

MISSING = object()


def changed(value, *keys):
    """SPEC as JSON text with the entry at `keys` set, or taken out."""
    data = json.loads(SPEC.to_json())
    place = data
    for key in keys[:-1]:
        place = place[key]
    if value is MISSING:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    return json.dumps(data)


def test_what_was_written_is_read_again():
    assert DiffusionSpec.from_json(SPEC.to_json()) == SPEC


@pytest.mark.parametrize(
    "text, words",
    [
        (changed(2, "schema_version"), "schema_version is 2, 1 expected; export the model again"),
        (changed("pixels", "state"), "diffusion.state is 'pixels'"),
        (changed("torque", "action"), "diffusion.action is 'torque'"),
        (changed("future", "action_context"), "diffusion.action_context is 'future'"),
        (changed(["pelvis"], "body_names"), "diffusion.body_names"),
        (changed([0.0], "states", "offset"), "diffusion.states.offset holds 1 numbers, 99 expected"),
        (changed([0.0], "actions", "scale"), "diffusion.actions.scale holds 1 numbers"),
        (changed([1.0, 2.0], "emphasis", "weight"), "diffusion.emphasis: rows and weight must hold 99 numbers"),
        (changed(0, "sampler", "passes"), "0 passes"),
        (changed(-1, "sampler", "action_passes"), "-1 action_passes"),
        (changed(1.5, "sampler", "eta"), "eta = 1.5"),
        (changed(21, "sampler", "warm_state_level"), "warm_state_level = 21: 0 to 20"),
        (changed(-1, "sampler", "warm_action_level"), "warm_action_level = -1"),
        (changed(8, "sampler", "most_committed"), "most_committed = 8: 0 to 7"),
        (changed(21, "sampler", "history_action_level"), "history_action_level = 21: 0 to 20"),
        (changed("many", "sampler", "passes"), "passes"),
        (changed(MISSING, "layout"), "layout"),
        (changed(1, "colour"), "colour"),
        ("{", "here"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused_by_name(text, words):
    with pytest.raises(BundleError, match=words):
        DiffusionSpec.from_json(text, "here")


def test_a_spec_from_before_most_committed_keeps_one_token():
    """What every model that was written without it was measured with."""
    text = changed(MISSING, "sampler", "most_committed")
    assert "most_committed" not in text
    assert DiffusionSpec.from_json(text).sampler.most_committed == 1
