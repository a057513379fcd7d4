"""Batch norms folded into convolutions give the same, and only where they take what these give."""

import pytest
import torch
from torch import nn

import landmarkzoo as lz
from landmarkzoo.backbones.folded_norms import fold_norms, foldable_norms


def with_statistics(model):
    """Batch norms as after training: none is the identity."""
    random = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                tensor.data.uniform_(0.5, 1.5, generator=random)
            for tensor in (module.bias, module.running_mean):
                tensor.data.uniform_(-0.5, 0.5, generator=random)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "size", "left"),
    [
        ("efficientnet_lite0_gem", 64, 0),
        ("dolg_efficientnet_b0", 64, 0),
        ("gem_resnet50", 64, 0),
        ("hybrid_efficientnet_b0_swin_tiny_224", 448, 0),
        ("dinov2_vit_small", 224, 0),
    ],
)
def test_models_of_the_zoo(name, size, left):
    model = with_statistics(lz.create_model(name))
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = model(images)
        pairs = foldable_norms(model, lambda: model(images))
        fold_norms(model, pairs)
        torch.testing.assert_close(model(images), expected, rtol=1e-3, atol=1e-4 * float(expected.std()))
    norms = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) - len(pairs) == left


class Odd(nn.Module):
    """Neighbours in the list of modules that are none in the flow of data, and one that is called twice."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.norm_of_second = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 1, bias=False)
        self.twice = nn.Conv2d(4, 4, 1)
        self.norm_of_twice = nn.BatchNorm2d(4)
        self.plain = nn.Conv2d(4, 4, 1)
        self.without_statistics = nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, x):
        x = self.norm_of_second(self.second(torch.relu(self.first(x))))
        x = self.norm_of_twice(self.twice(self.twice(x)))
        return self.without_statistics(self.plain(x)).mean(dim=(2, 3))


def test_only_norms_that_take_what_a_convolution_gives_once():
    model = Odd().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    images = torch.randn(2, 3, 5, 5)
    expected = model(images)
    pairs = foldable_norms(model, lambda: model(images))
    assert pairs == [("second", "norm_of_second")]
    assert not any("forward" in vars(module) for module in model.modules())
    fold_norms(model, pairs)
    torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-5)


def test_nothing_is_left_watched_after_an_error():
    model = Odd().eval()
    with pytest.raises(RuntimeError):
        foldable_norms(model, lambda: model(torch.randn(2, 5, 5, 5)))
    assert not any("forward" in vars(module) for module in model.modules())
