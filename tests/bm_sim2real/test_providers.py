"""Execution providers: the one asked for, or another one aloud; the proof is always of the one that will run."""

import logging

import numpy as np
import onnxruntime
import pytest

from bm_core.bundle import Bundle
from bm_core.errors import BundleError, ConfigError
from bm_sim2real.planning.denoiser import onnx_session
from bm_sim2real.policies import execution_provider
from bm_sim2real.policies.execution_provider import ProviderError
from bm_sim2real.policies.inference import OnnxSession
from bm_sim2real.policies.provider import open_session
from bm_sim2real.policies.tracker import TrackerPolicy

INSTALLED = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


class Wrong(OnnxSession):
    """A provider that starts and computes something else, as a TensorRT of another version does."""

    def __init__(self, path, provider):
        super().__init__(path, "cpu")
        self.provider = provider

    def __call__(self, observation, time_step=0):
        action = super().__call__(observation, time_step)
        return action + np.float32(0.02) if self.provider == "tensorrt" else action


def opened(path, provider, **options):
    return open_session(path, provider, Bundle.read(path).prove, **options)


def test_a_missing_provider_falls_back_to_the_cpu_aloud(bundle_path, caplog):
    with caplog.at_level(logging.WARNING):
        result = opened(bundle_path, "tensorrt")
    assert result.session.provider == "cpu" and result.proof.num_ticks == 10
    assert "TensorrtExecutionProvider" in result.notices[0] and "falling back to cpu" in result.notices[0]
    assert "falling back to cpu" in caplog.text


def test_a_provider_whose_libraries_are_missing_is_noticed(bundle_path, monkeypatch):
    """onnxruntime would go on with the CPU without an exception."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: INSTALLED)
    with pytest.raises(ProviderError, match="provider 'cuda' does not start"):
        OnnxSession(bundle_path, "cuda")
    assert opened(bundle_path, "cuda").session.provider == "cpu"


@pytest.fixture
def half_installed(monkeypatch):
    """onnxruntime with the extra gpu on a computer without CUDA."""

    def preload():
        print("Failed to load libcudart.so.13: no such file\nFailed to load libcublas.so.13: no such file")
        print("Please follow the instructions")

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: INSTALLED)
    monkeypatch.setattr(onnxruntime, "preload_dlls", preload, raising=False)
    execution_provider._load_cuda.cache_clear()
    yield
    execution_provider._load_cuda.cache_clear()


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
@pytest.mark.parametrize("load", [OnnxSession, onnx_session])
def test_the_library_that_is_missing_is_named_and_nothing_is_printed(
    load, provider, bundle_path, half_installed, capfd
):
    with pytest.raises(ProviderError, match=f"provider '{provider}' does not start: Failed to load libcudart.so.13"):
        load(bundle_path, provider)
    assert capfd.readouterr().out == ""


def test_auto_takes_the_cpu_without_a_word_where_nothing_else_is_installed(bundle_path):
    result = opened(bundle_path, "auto")
    assert result.session.provider == "cpu" and result.notices == ()


def test_auto_says_which_installed_providers_did_not_start(bundle_path, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: INSTALLED)
    result = opened(bundle_path, "auto")
    assert result.session.provider == "cpu"
    assert ["tensorrt" in result.notices[0], "cuda" in result.notices[1]] == [True, True]


def test_a_wrong_tensorrt_is_refused_by_the_golden_trace(bundle_path):
    with pytest.raises(BundleError, match="tick 0: action of left_hip_pitch_joint .*the network runs differently here"):
        opened(bundle_path, "tensorrt", load=Wrong)


def test_auto_goes_on_to_the_next_provider_that_passes_the_golden_trace(bundle_path):
    result = opened(bundle_path, "auto", load=Wrong)
    assert result.session.provider == "cuda"
    assert "'tensorrt' fails the proof" in result.notices[0] and "left_hip_pitch_joint" in result.notices[0]


def test_a_bundle_that_fails_everywhere_is_refused(bundle_path):
    def prove(session):
        raise BundleError("differs")

    with pytest.raises(BundleError, match="differs"):
        open_session(bundle_path, "auto", prove)


def test_an_unknown_provider_is_refused(bundle_path):
    with pytest.raises(ConfigError, match="provider 'npu' is unknown; one of auto, cpu, cuda, tensorrt"):
        opened(bundle_path, "npu")


def test_the_policy_carries_the_notice(bundle_path):
    assert any("falling back to cpu" in warning for warning in TrackerPolicy.load(bundle_path, "cuda").warnings)
