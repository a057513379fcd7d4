import pytest
import torch
from torch import nn
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.layers import RegionalGeM, gem, regional_map


def by_hand(x):
    """The definition, position by position; a reflection does not repeat the border."""
    height, width = x.shape[-2:]
    out = torch.empty_like(x)
    for i in range(height):
        for j in range(width):
            rows = [abs(r) if r < height else 2 * (height - 1) - r for r in range(i - 2, i + 3)]
            columns = [abs(c) if c < width else 2 * (width - 1) - c for c in range(j - 2, j + 3)]
            region = x[..., rows, :][..., columns]  # (B, C, 5, 5)
            out[..., i, j] = 0.5 * x[..., i, j] + 0.5 * region.pow(2.5).mean((-2, -1)).pow(0.4)
    return out


@pytest.mark.parametrize("shape", [(3, 3), (3, 8), (7, 4), (12, 9)])
def test_equals_explicit_loop(shape):
    x = torch.rand(2, 3, *shape, dtype=torch.float64).sub(0.3).relu()
    torch.testing.assert_close(regional_map(x), by_hand(x))
    torch.testing.assert_close(RegionalGeM().double()(x), gem(by_hand(x), 4.6, 1e-8), rtol=1e-6, atol=0)


def test_equals_lp_pooling_as_the_authors_write_it():
    x = torch.randn(2, 4, 9, 7).relu()
    pooled = nn.LPPool2d(2.5, 5, stride=1)(nn.ReflectionPad2d(2)(x / 25 ** (1 / 2.5)))
    torch.testing.assert_close(regional_map(x), 0.5 * pooled + 0.5 * x)


def test_limits():
    constant = torch.full((1, 2, 5, 6), 0.7)
    torch.testing.assert_close(regional_map(constant), constant)
    empty = torch.zeros(1, 2, 5, 6)
    assert regional_map(empty).max() < 1e-14
    torch.testing.assert_close(RegionalGeM()(empty), torch.full((1, 2), 1e-8))  # eps
    torch.testing.assert_close(lz.GeM()(empty), torch.full((1, 2), 1e-6))
    negative = regional_map(-torch.ones(1, 1, 5, 5))  # a region counts them as 0
    torch.testing.assert_close(negative, -0.5 * torch.ones(1, 1, 5, 5))


def test_gradients_are_finite_where_a_map_is_zero():
    x = torch.randn(2, 4, 8, 6).relu()
    x[0, 0] = 0
    x[1, 0] = 1e-20  # whose powers are 0 in float32
    x.requires_grad_()
    layer = RegionalGeM()
    layer(x).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(layer.p.grad).all()
    assert x.grad[0, 1].abs().sum() > 0
    x.grad = None
    regional_map(x).sum().backward()
    assert torch.isfinite(x.grad).all()
    wide = (torch.rand(1, 2, 4, 5, dtype=torch.float64) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(RegionalGeM().double(), (wide,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    x = torch.randn(2, 3, 6, 6).relu().mul(200).to(dtype)  # 200^4.6 is beyond float16
    pooled = RegionalGeM()(x)
    assert pooled.dtype == dtype
    assert torch.equal(pooled, RegionalGeM()(x.float()).to(dtype))


@pytest.mark.parametrize("shape", [(1, 8, 2, 9), (1, 8, 9, 2), (1, 8, 0, 9), (8, 9, 9)])
def test_a_map_that_cannot_be_reflected_says_how_large_photos_must_be(shape):
    with pytest.raises(ValueError, match=r"H and W at least 3, got \(.*at a stride of 32 .* sides of 65 px"):
        RegionalGeM()(torch.rand(shape))
    with pytest.raises(TypeError, match="regional GeM takes floating-point tensors"):
        regional_map(torch.ones(1, 1, 5, 5, dtype=torch.int64))


def test_power_and_eps():
    layer = RegionalGeM(p=3.0, eps=1e-3, trainable=False)
    assert not list(layer.parameters())
    assert layer.state_dict()["p"].item() == 3.0
    x = torch.rand(1, 2, 4, 4)
    torch.testing.assert_close(layer(x), gem(regional_map(x), 3.0, 1e-3))
    assert not torch.allclose(layer(x), F.adaptive_avg_pool2d(x, 1).flatten(1))
    with pytest.raises(ValueError, match="GeM needs a finite p"):
        RegionalGeM(p=0)
