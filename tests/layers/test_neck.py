import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landmarkzoo.layers import Neck


@pytest.mark.parametrize(
    ("kind", "layers"),
    [
        ("fc-bn-prelu", [nn.Linear, nn.BatchNorm1d, nn.PReLU]),
        ("fc-bn", [nn.Linear, nn.BatchNorm1d]),
        ("fc-silu", [nn.Linear, nn.SiLU]),
        ("fc", [nn.Linear]),
        ("none", []),
    ],
)
def test_layers_and_size(kind, layers):
    neck = Neck(6, 4, kind)
    assert [type(layer) for layer in neck] == layers
    assert neck.out_features == (4 if layers else 6)
    assert neck(torch.randn(3, 6)).shape == (3, neck.out_features)


def test_prelu_has_one_shared_parameter():
    assert Neck(6, 4)[2].weight.numel() == 1


def test_normalised_input_makes_the_length_irrelevant():
    neck = Neck(6, 4, "fc-bn", normalize_input=True).eval()
    x = torch.randn(3, 6)
    torch.testing.assert_close(neck(x), neck(x * 7))
    torch.testing.assert_close(neck(x), Neck.forward(neck, F.normalize(x)))


def test_unknown_kind():
    with pytest.raises(ValueError, match="neck must be one of"):
        Neck(6, 4, "linear")
