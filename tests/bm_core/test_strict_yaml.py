"""YAML read strictly: a key stands once in its mapping, at any depth, and every refusal is one line."""

import pytest

from bm_core.errors import BundleError, ClipError, ConfigError
from bm_core.strict_yaml import read_yaml


def written(folder, text):
    file = folder / "a.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", "top:\n  a: 1\n  a: 1\n", "- {a: 1, a: 2}\n"])
def test_a_doubled_key_is_refused_in_one_line(tmp_path, text):
    with pytest.raises(ConfigError, match="key 'a' twice in one mapping") as caught:
        read_yaml(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_what_a_merge_brings_in_may_be_overridden(tmp_path):
    text = "base: &base {a: 1, b: 2}\nmine:\n  <<: *base\n  a: 3\n"
    assert read_yaml(written(tmp_path, text))["mine"] == {"a": 3, "b": 2}


@pytest.mark.parametrize("refusal", [ConfigError, BundleError, ClipError])
def test_the_caller_says_which_error_it_is(tmp_path, refusal):
    with pytest.raises(refusal, match=r"a\.yaml: not valid YAML: "):
        read_yaml(written(tmp_path, "{"), refusal)
    with pytest.raises(refusal, match=r"none\.yaml: cannot be read: No such file"):
        read_yaml(tmp_path / "none.yaml", refusal)
