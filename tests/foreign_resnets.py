"""ResNets as other code has them, in plain torch: what landmarkzoo's conversions are compared with."""

import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # red, green, blue


def normalised(photos):
    """RGB photos (B, 3, H, W) from 0 to 1 as the input of a model that takes RGB."""
    return (photos - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def normalised_bgr(photos):
    """The same photos as the input of a model that takes BGR."""
    mean, std = torch.tensor([0.406, 0.456, 0.485]), torch.tensor([0.225, 0.224, 0.229])
    return (photos[:, [2, 1, 0]] - mean.view(3, 1, 1)) / std.view(3, 1, 1)


@torch.no_grad()
def randomize(model, seed=0):
    """Random weights and statistics of batch norms that keep the activations of a deep net in bounds."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, generator=generator)
            if module.bias is not None:
                module.bias.normal_(0, 0.02, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            for tensor in (module.bias, module.running_mean):
                tensor.normal_(0, 0.1, generator=generator)
            module.weight.uniform_(0.2, 0.5, generator=generator)
            module.running_var.uniform_(0.5, 1.0, generator=generator)
            module.num_batches_tracked.fill_(1000)
    return model.eval()


def torchvision_trunk(depth):
    """What stands before the pooling of torchvision's ResNet, as a Sequential with the keys 0, 1, 4 to 7."""
    return nn.Sequential(*list(getattr(models, f"resnet{depth}")(weights=None).children())[:-2])


class Pycls(nn.Module):
    """A ResNet of pycls under its names; its floors say where a clamp stands in place of a ReLU."""

    def __init__(self, depth):
        super().__init__()
        self.stem = nn.Module()
        self.stem.conv, self.stem.bn = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        width_in = 64
        for number, blocks in enumerate(BLOCKS[depth], start=1):
            stage, width = nn.Module(), 32 * 2**number
            for b in range(1, blocks + 1):
                stage.add_module(f"b{b}", _block(width_in, width, 2 if b == 1 and number > 1 else 1))
                width_in = 4 * width
            self.add_module(f"s{number}", stage)

    def forward(self, x, floor=0.0, inner_floor=None, floored_stages=(1, 2, 3)):
        """The last map; ``inner_floor`` is that inside the blocks of stage 1."""
        inner_floor = floor if inner_floor is None else inner_floor
        x = F.max_pool2d(self.stem.bn(self.stem.conv(x)).relu(), 3, 2, 1)
        for number in range(1, 5):
            inner = inner_floor if number == 1 else 0.0
            for block in getattr(self, f"s{number}").children():
                y = block.f.a_bn(block.f.a(x)).clamp(min=inner)
                y = block.f.b_bn(block.f.b(y)).clamp(min=inner)
                y = block.f.c_bn(block.f.c(y))
                x = (block.bn(block.proj(x)) if hasattr(block, "proj") else x) + y
                x = x.clamp(min=floor if number in floored_stages else 0.0)
        return x


def _block(width_in, width, stride):
    block = nn.Module()
    if stride != 1 or width_in != 4 * width:
        block.proj, block.bn = (
            nn.Conv2d(width_in, 4 * width, 1, stride, bias=False),
            nn.BatchNorm2d(4 * width),
        )
    block.f = nn.Module()
    block.f.a, block.f.a_bn = nn.Conv2d(width_in, width, 1, bias=False), nn.BatchNorm2d(width)
    block.f.b, block.f.b_bn = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
    block.f.c, block.f.c_bn = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
    return block


def gem(x, p, eps):
    """(B, C, H, W) -> (B, C)"""
    return x.clamp(min=eps).pow(p).mean((2, 3)).pow(1 / p)


def distance(ours, theirs):
    """The largest Euclidean distance of two unit descriptors of one photo."""
    return float((F.normalize(ours, dim=1) - F.normalize(theirs, dim=1)).norm(dim=1).max())
