"""A diffusion policy without a trained network: the model says that everything stays as the present is."""

import hashlib

import numpy as np

from bm_core.contract import Training
from bm_core.diffusion.contract import DecoderSpec, g1_diffusion_contract
from bm_core.diffusion.emphasis import no_emphasis
from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.planner import Planner
from bm_core.diffusion.spec import DiffusionSpec, EmphasisSpec, NormaliserSpec, SamplerSpec
from bm_sim2real.planning.policy import DiffusionPolicy
from bm_sim2real.planning.source import LockstepSource

LAYOUT = TokenLayout()
NOWHERE = Training(commit="", motion_set="", motion_set_sha256="", steps=0, run="")


def plain_spec(passes=4, **sampler):
    """Unit scaling, wide ranges, no emphasis."""

    def scaling(width):
        ones = np.ones(width)
        return NormaliserSpec(offset=tuple(0 * ones), scale=tuple(ones), low=tuple(-50 * ones), high=tuple(50 * ones))

    return DiffusionSpec(
        layout=LAYOUT,
        states=scaling(99),
        actions=scaling(LAYOUT.action_width),
        emphasis=EmphasisSpec.of(no_emphasis(99), seed=0),
        sampler=SamplerSpec(passes=passes, **sampler),
    )


def frozen(states, actions, state_levels, action_levels):
    """States stay those of the present; the robot goes on asking for its last action."""
    present, last = states[:, LAYOUT.present], None if actions is None else actions[:, LAYOUT.present - 1, 29:]
    still = np.repeat(present[:, None], states.shape[1], axis=1)
    if last is None:
        return still, None
    return still, np.repeat(np.concatenate([last, last], axis=-1)[:, None], actions.shape[1], axis=1)


def identity_decoder():
    import onnx
    from onnx import TensorProto, helper

    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 29]) for name in ("z", "actions")]
    graph = helper.make_graph([helper.make_node("Identity", ["z"], ["actions"])], "d", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def tiny_policy(latency_steps=1, denoise=frozen, spec=None):
    spec = spec or plain_spec()
    decoder = identity_decoder()
    contract = g1_diffusion_contract(
        spec,
        NOWHERE,
        decoder=DecoderSpec(sha256=hashlib.sha256(decoder).hexdigest()),
        precision="fp32",
    )
    return DiffusionPolicy(contract, decoder, LockstepSource(Planner(spec, denoise), latency_steps))
