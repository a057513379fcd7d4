import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn

from landmarkzoo.layers import mixed_precision

SLOW = [(5, 1), (3, 2), (7, 2)]


def saved_dtypes(layer: nn.Module, images: torch.Tensor) -> set[torch.dtype]:
    """Of what the forward pass keeps for the gradients."""
    dtypes = set()

    def pack(tensor):
        dtypes.add(tensor.dtype)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), mixed_precision("cpu"):
        assert layer(images).dtype == torch.bfloat16
    return dtypes


@pytest.mark.parametrize(("kernel", "stride"), SLOW)
@pytest.mark.parametrize("of", [nn.Conv2d, Conv2dSame])
def test_slow_depthwise_convolutions_keep_float32(kernel, stride, of):
    layer = of(8, 8, kernel, stride=stride, groups=8)
    images = torch.randn(2, 8, 12, 12).contiguous(memory_format=torch.channels_last).requires_grad_()
    assert saved_dtypes(layer, images) == {torch.float32}
    with mixed_precision("cpu"):
        out = layer(images)
    expected = layer(images)
    torch.testing.assert_close(out, expected.to(torch.bfloat16))
    out.float().square().sum().backward()
    ours, layer.weight.grad = layer.weight.grad, None
    expected.square().sum().backward()
    tolerance = 2e-2 * float(layer.weight.grad.abs().max())
    torch.testing.assert_close(ours, layer.weight.grad, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 5), nn.Conv2d(8, 8, 5, groups=2), nn.Linear(12, 4)],
)
def test_all_else_is_bfloat16(layer):
    images = torch.randn(2, 8, 12, 12).contiguous(memory_format=torch.channels_last)
    assert saved_dtypes(layer, images) == {torch.bfloat16}


def test_contiguous_images_stay_in_bfloat16():
    assert torch.bfloat16 in saved_dtypes(nn.Conv2d(8, 8, 5, groups=8), torch.randn(2, 8, 12, 12))


def test_float32_is_no_autocast():
    layer, images = nn.Conv2d(8, 8, 5, groups=8), torch.randn(2, 8, 12, 12)
    with mixed_precision("cpu", torch.float32):
        assert not torch.is_autocast_enabled("cpu")
        out = layer(images)
    assert torch.equal(out, layer(images))


def test_autocast_is_as_it_was_afterwards():
    layer = nn.Conv2d(8, 8, 5, groups=8)
    with mixed_precision("cpu"):
        layer(torch.randn(2, 8, 12, 12))
        assert torch.is_autocast_enabled("cpu")
    assert not torch.is_autocast_enabled("cpu")
