import pytest
import torch
from torch.nn import functional as F

from landmarkzoo.layers import MultiAtrous, SpatialAttention


def test_multi_atrous_equals_the_plain_formulation_and_keeps_the_size():
    layer = MultiAtrous(4, 6, dilations=(1, 2, 5), branch_channels=3)
    x = torch.randn(2, 4, 9, 7)
    branches = [
        F.conv2d(x, conv.weight, conv.bias, padding="same", dilation=d)
        for conv, d in zip(layer.branches, (1, 2, 5))
    ]
    expected = F.relu(F.conv2d(torch.cat(branches, 1), layer.project.weight, layer.project.bias))
    assert expected.shape == (2, 6, 9, 7)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("training", [True, False])
def test_attention_equals_an_explicit_loop(training):
    layer = SpatialAttention(5).train(training)
    x = torch.randn(2, 5, 3, 3)
    z = F.conv2d(x, layer.project.weight, layer.project.bias)
    z = F.batch_norm(z, layer.norm.running_mean.clone(), layer.norm.running_var.clone(), training=training)
    out, weights = layer(x), None
    if not training:
        weights = layer.weights(x)
        assert weights.shape == (2, 1, 3, 3)
        assert (weights > 0).all()
    for b in range(2):
        for i in range(3):
            for j in range(3):
                v = z[b, :, i, j]
                score = (layer.score.weight[0, :, 0, 0] * v.clamp(min=0)).sum() + layer.score.bias[0]
                attention = torch.log1p(torch.exp(score))
                torch.testing.assert_close(out[b, :, i, j], attention * v / v.norm())
                if weights is not None:
                    torch.testing.assert_close(weights[b, 0, i, j], attention)
