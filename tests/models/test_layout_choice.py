"""A checkpoint of another model than the one that was named says which models it fits."""

import pytest
import torch
from foreign_resnets import Pycls, torchvision_trunk
from torch import nn

import landmarkzoo as lz
from landmarkzoo.models import convert_state_dict
from landmarkzoo.models.layout_choice import chosen_layout


def shapes(make, *args):
    """A state dict of zeros that take no memory."""
    with torch.device("meta"):
        state = make(*args).state_dict()
    return {name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape) for name, tensor in state.items()}


def cirtorch(depth):
    state = {f"features.{name}": tensor for name, tensor in shapes(torchvision_trunk, depth).items()}
    whiten = {f"whiten.{name}": tensor for name, tensor in shapes(nn.Linear, 2048, 2048).items()}
    return {**state, **whiten, "pool.p": torch.ones(1)}


def cvnet(depth):
    state = {f"encoder_q.{name}": tensor for name, tensor in shapes(Pycls, depth).items()}
    head = {f"encoder_q.head.fc.{name}": tensor for name, tensor in shapes(nn.Linear, 2048, 2048).items()}
    return {**state, **head, "encoder_q.head.pool.p": torch.ones(1)}


def places(depth, dim, channels=2048):
    state = {f"backbone.{name}": tensor for name, tensor in shapes(torchvision_trunk, depth).items()}
    head = {f"aggregation.3.{name}": tensor for name, tensor in shapes(nn.Linear, channels, dim).items()}
    return {**state, **head, "aggregation.1.p": torch.ones(1)}


@pytest.mark.parametrize(
    ("state", "name", "message"),
    [
        (
            cirtorch(50),
            "gem_resnet101",
            r"has backbone='resnet50', but 'gem_resnet101' has backbone='resnet101\.tv_in1k'\. It fits "
            r"gem_resnet50\.gl18, gem_resnet50\.sfm120k$",
        ),
        (
            cvnet(101),
            "gem_resnet101.gl18",
            r"in the layout 'cvnet', but those of 'gem_resnet101\.gl18' have the layout 'cirtorch'\. It fits "
            r"cvnet_resnet101\.gldv2, superglobal_resnet101\.gldv2$",
        ),
        (cvnet(50), "superglobal_resnet101", r"It fits cvnet_resnet50\.gldv2, superglobal_resnet50\.gldv2$"),
        (
            places(18, 256, 512),
            "eigenplaces_resnet50",
            r"has backbone='resnet18' and embedding_dim=256, but 'eigenplaces_resnet50' has backbone="
            r"'resnet50\.tv_in1k' and embedding_dim=512\. It fits cosplace_resnet18\.sf_xl_256, "
            r"eigenplaces_resnet18\.sf_xl_256$",
        ),
        (
            cirtorch(50),
            "dolg_resnet50",
            r"a checkpoint of a GlobalDescriptor, but 'dolg_resnet50' is a DOLG\. It fits gem_resnet50\.gl18",
        ),
        (cirtorch(50), "efficientnet_b5_gem", "but 'efficientnet_b5_gem' has backbone='tf_efficientnet_b5"),
    ],
)
def test_the_models_that_fit_are_named(state, name, message):
    with pytest.raises(ValueError, match=message):
        convert_state_dict(state, name)


def test_a_size_that_nobody_has_published_can_be_given():
    with pytest.raises(ValueError, match=r"has embedding_dim=512; give embedding_dim=96 if that is meant$"):
        convert_state_dict(places(50, 96), "cosplace_resnet50")
    cfg = lz.get_model_cfg("cosplace_resnet50")
    assert chosen_layout(places(50, 96), cfg, {"embedding_dim": 96}).name == "places"


def test_models_of_ones_own():
    own = lz.ModelCfg("MyNet", {}, name="my_net")
    with pytest.raises(
        ValueError, match="'my_net' is a MyNet; checkpoints of other code are known for DOLG, "
    ):
        chosen_layout({}, own, {})
    args = {"backbone": "resnet50.a1_in1k", "embedding_dim": 2048}
    mine = lz.ModelCfg("GlobalDescriptor", args, embedding_dim=2048, name="mine")
    for state, layout in ((cirtorch(50), "cirtorch"), (cvnet(50), "cvnet"), (places(50, 2048), "places")):
        assert chosen_layout(state, mine, {}).name == layout


def test_a_layout_that_nobody_knows_is_refused_with_what_is_looked_for():
    message = (
        r"it has no whiten\.weight or encoder_q\.stem\.conv\.weight or aggregation\.1\.p, but a, b, c, \.\.\."
    )
    with pytest.raises(ValueError, match=message):
        chosen_layout(dict.fromkeys("abcd", torch.ones(1)), lz.get_model_cfg("gem_resnet50"), {})
