"""Model cards: what they promise, and that a broken or foreign one is refused instead of overlooked."""

import json

import pytest

from bm_core.errors import ConfigError
from bm_sim2real.model_card import ModelCard, read_card

SHA = "ab" * 32


def write(tmp_path, **changes):
    document = {"schema": 1, "graph_sha256": SHA, "promised_clips": ["stand", "walk"], **changes}
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not None}))
    return tmp_path / "policy.onnx"


def test_a_card_lies_beside_the_policy(tmp_path):
    assert read_card(write(tmp_path), SHA) == ModelCard(graph_sha256=SHA, promised_clips=("stand", "walk"))


def test_no_card_is_no_promise(tmp_path):
    assert read_card(tmp_path / "policy.onnx", SHA) is None


def test_a_card_about_another_network_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="about the network abababababab, but policy.onnx holds cdcdcdcdcdcd"):
        read_card(write(tmp_path), "cd" * 32)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"schema": 2}, "schema 2"),
        ({"promised": ["walk"]}, "the keys must be"),
        ({"promised_clips": None}, "the keys must be"),
        ({"promised_clips": "walk"}, "list of clip names"),
        ({"promised_clips": ["walk", 3]}, "list of clip names"),
        ({"promised_clips": ["walk", "walk"]}, "twice"),
        ({"graph_sha256": 7}, "must be a text"),
    ],
)
def test_a_broken_card_is_refused_with_its_path(tmp_path, changes, complaint):
    with pytest.raises(ConfigError, match=rf"policy\.json: .*{complaint}"):
        read_card(write(tmp_path, **changes), SHA)


def test_a_card_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "policy.json").write_text("{promised")
    with pytest.raises(ConfigError, match="cannot be read as JSON"):
        read_card(tmp_path / "policy.onnx", SHA)
