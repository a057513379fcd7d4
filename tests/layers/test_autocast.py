import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn
from torch.utils.checkpoint import checkpoint

import landmarkzoo as lz
from landmarkzoo.layers.autocast import has_bfloat16, mixed_precision

LOW = torch.bfloat16
SLOW = [(5, 1), (3, 2), (7, 2)]


def maps(size: int = 12) -> torch.Tensor:
    return torch.randn(2, 8, size, size).contiguous(memory_format=torch.channels_last)


def takes_the_fast_way(layer: nn.Module, images: torch.Tensor) -> bool:
    with mixed_precision("cpu", LOW):
        out = layer(images)
    assert out.dtype == LOW
    return "_DepthwiseConvolution" in type(out.grad_fn).__name__


def gradients(context, layer: nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    """Of the images and the parameters."""
    images = images.detach().requires_grad_()
    with context:
        out = layer(images)
    return [*torch.autograd.grad(out.float().square().sum(), [images, *layer.parameters()])]


@pytest.mark.parametrize(("kernel", "stride"), SLOW)
@pytest.mark.parametrize("of", [nn.Conv2d, Conv2dSame])
@pytest.mark.parametrize("bias", [True, False])
def test_values_are_those_of_autocast_and_gradients_nearer_to_float32(kernel, stride, of, bias):
    torch.manual_seed(0)
    layer, images = of(8, 8, kernel, stride=stride, groups=8, bias=bias), maps()
    assert takes_the_fast_way(layer, images)
    with mixed_precision("cpu", LOW):
        ours = layer(images)
    with torch.autocast("cpu", LOW):
        assert torch.equal(ours, layer(images))
    exact = gradients(torch.autocast("cpu", enabled=False), layer, images)
    autocast = gradients(torch.autocast("cpu", LOW), layer, images)
    fast = gradients(mixed_precision("cpu", LOW), layer, images)
    for a, b, c in zip(fast, exact, autocast, strict=True):
        assert a.dtype == c.dtype
        error = (a - b).norm() / b.norm()
        assert error < 0.02
        assert error < 1.5 * (c - b).norm() / b.norm()


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 5), nn.Conv2d(8, 8, 5, groups=2), nn.Linear(12, 4)],
)
def test_all_else_is_autocast(layer):
    assert not takes_the_fast_way(layer, maps())


def test_contiguous_maps_and_named_padding_are_autocast():
    assert not takes_the_fast_way(nn.Conv2d(8, 8, 5, groups=8), torch.randn(2, 8, 12, 12))
    assert not takes_the_fast_way(nn.Conv2d(8, 8, 5, groups=8, padding="same"), maps())
    assert not takes_the_fast_way(nn.Conv2d(8, 8, 5, groups=8), torch.randn(8, 12, 12))


def test_float64_is_left_alone():
    with mixed_precision("cpu", LOW):
        assert nn.Conv2d(8, 8, 5, groups=8).double()(maps().double()).dtype == torch.float64


def test_float32_inside_is_float32():
    layer = nn.Sequential(nn.Conv2d(8, 8, 5, groups=8), nn.Conv2d(8, 4, 1))
    expected = layer(maps() * 0)
    with mixed_precision("cpu", LOW):
        with torch.autocast("cpu", enabled=False):
            assert torch.equal(layer(maps() * 0), expected)
        with mixed_precision("cpu", torch.float32):
            assert torch.equal(layer(maps() * 0), expected)


def test_a_frozen_layer_has_no_gradient_of_its_weight():
    layer, images = nn.Conv2d(8, 8, 5, groups=8).requires_grad_(False), maps().requires_grad_()
    with mixed_precision("cpu", LOW):
        layer(images).float().sum().backward()
    assert images.grad is not None
    assert layer.weight.grad is None


def test_checkpointing_gives_the_same_gradients():
    torch.manual_seed(0)
    layer, images = (
        nn.Sequential(nn.Conv2d(8, 8, 5, groups=8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8)),
        maps(),
    )
    plain = gradients(mixed_precision("cpu", LOW), layer, images)
    layer.forward = lambda x, forward=layer.forward: checkpoint(forward, x, use_reentrant=False)
    for a, b in zip(plain, gradients(mixed_precision("cpu", LOW), layer, images), strict=True):
        torch.testing.assert_close(a, b, rtol=0.02, atol=0.02 * float(a.abs().max()))


def test_checkpointing_of_a_model():
    model = lz.GlobalDescriptor("test_efficientnet", embedding_dim=16)
    model.to(memory_format=torch.channels_last).set_grad_checkpointing()
    images = torch.randn(4, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    with mixed_precision("cpu", LOW):
        loss = model(images).float().square().sum()
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_compiled_it_is_the_same():
    layer, images = nn.Conv2d(8, 8, 5, groups=8), maps()
    compiled = torch.compile(layer, backend="aot_eager")
    for a, b in zip(
        gradients(mixed_precision("cpu", LOW), compiled, images),
        gradients(mixed_precision("cpu", LOW), layer, images),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=0.02, atol=0.02 * float(a.abs().max()))


def test_the_dtype_follows_the_hardware():
    with mixed_precision("cpu"):
        low = torch.is_autocast_enabled("cpu")
    assert low == has_bfloat16(torch.device("cpu"))
    assert not torch.is_autocast_enabled("cpu")
