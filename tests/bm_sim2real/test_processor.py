"""Int8 products must not saturate, and only where they could is the slower way taken."""

import pytest

from bm_sim2real.processor import instruction_sets, keep_int8_sums_exact


class Options:
    def __init__(self):
        self.entries = {}

    def add_session_config_entry(self, key, value):
        self.entries[key] = value


@pytest.mark.parametrize(
    "available, is_needed",
    [((), True), (("avx512f", "avx2"), True), (("amx_int8", "avx512f"), False), (("avx_vnni", "avx2"), False)],
)
def test_unsigned_weights_are_asked_for_only_without_vnni_and_amx(available, is_needed):
    options = Options()
    keep_int8_sums_exact(options, available)
    assert options.entries == ({"session.x64quantprecision": "1"} if is_needed else {})


def test_the_instruction_sets_are_read_from_the_first_processor(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni amx_int8\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert instruction_sets(file) == ("amx_int8", "avx512_vnni", "avx2")
    assert instruction_sets(tmp_path / "missing") == ()


def test_signed_and_unsigned_weights_give_the_same_plans():
    """On processors with VNNI or AMX; on others the proof of a bundle would refuse what saturates."""
    import numpy as np
    import onnxruntime as ort

    from bm_core.data import shipped

    if not {"amx_int8", "avx512_vnni", "avx_vnni"}.intersection(instruction_sets()):
        pytest.skip("this processor has neither VNNI nor AMX")
    answers = []
    for available in ((), ("avx512_vnni",)):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        keep_int8_sums_exact(options, available)
        session = ort.InferenceSession(str(shipped("policies", "g1_diffusion.onnx")), options)
        rng = np.random.default_rng(0)
        feed = {"states": rng.normal(size=(1, 21, 198)), "actions": rng.normal(size=(1, 12, 58))}
        levels = {"state_levels": rng.integers(21, size=(1, 21)), "action_levels": rng.integers(21, size=(1, 12))}
        answers.append(session.run(None, {k: v.astype(np.float32) for k, v in feed.items()} | levels))
    for signed, unsigned in zip(*answers, strict=True):
        assert np.array_equal(signed, unsigned)
