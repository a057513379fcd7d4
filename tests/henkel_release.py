"""The class that the authors exported to ONNX, written out in plain PyTorch, and exports of it."""

import copy

import timm
import torch
from reference_layout import calibrate, randomize
from torch import nn
from torch.nn import functional as F


class GlobalPool(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.p, self.way = nn.Parameter(torch.full((1,), 3.0)), way

    def forward(self, x):
        x = x.clamp(min=1e-6).pow(self.p)
        if self.way == "avg_pool2d":
            x = F.avg_pool2d(x, (int(x.size(-2)), int(x.size(-1))))
        elif self.way == "adaptive_avg_pool2d":
            x = F.adaptive_avg_pool2d(x, 1)
        else:
            x = x.mean((-2, -1), keepdim=True)
        return x.pow(1.0 / self.p)


class Net(nn.Module):
    """With ``headless``: descriptors (B, 512)."""

    def __init__(self, backbone, dilations, stem_stride=2, pool="avg_pool2d"):
        super().__init__()
        self.backbone = timm.create_model(backbone, num_classes=0, global_pool="", features_only=True)
        self.backbone.conv_stem.stride = (stem_stride, stem_stride)
        local, global_ = self.backbone.feature_info.channels()[-2:]
        self.atrous = nn.ModuleList(nn.Conv2d(local, 512, 3, dilation=d, padding="same") for d in dilations)
        self.conv1, self.attention1 = nn.Conv2d(1536, 1024, 1), nn.Conv2d(1024, 1024, 1)
        self.bn, self.attention2 = nn.BatchNorm2d(1024), nn.Conv2d(1024, 1, 1)
        self.conv_g, self.bn_g = nn.Conv2d(global_, 1024, 1), nn.BatchNorm2d(1024, eps=1e-3)
        self.global_pool = GlobalPool(pool)
        self.neck = nn.Sequential(nn.Linear(2048, 512), nn.BatchNorm1d(512), nn.PReLU())

    def forward(self, x):
        maps = self.backbone(x)
        local = F.relu(self.conv1(torch.cat([branch(maps[-2]) for branch in self.atrous], dim=1)))
        local = self.bn(self.attention1(local))
        score = F.softplus(self.attention2(F.relu(local)))
        value = F.normalize(local, p=2, dim=1)
        local = score.expand_as(value) * value
        global_ = self.global_pool(F.silu(self.bn_g(self.conv_g(maps[-1]))))[:, :, 0, 0]
        b, c, h, w = local.shape
        dot = torch.bmm(global_[:, None, :], local.reshape(b, c, -1)).reshape(b, 1, h, w)
        projection = dot / torch.norm(global_, dim=1)[:, None, None, None] * global_[:, :, None, None]
        fused = torch.cat([local - projection, global_[:, :, None, None].repeat(1, 1, h, w)], dim=1)
        return self.neck(F.adaptive_avg_pool2d(fused, 1)[:, :, 0, 0])


class Head(nn.Module):
    """Confidence and class of descriptors: softmax over cosines with the nearest of three centers."""

    def __init__(self, classes, dim=512, class_first=True):
        super().__init__()
        self.weight, self.classes = nn.Parameter(torch.randn(classes * 3, dim)), classes
        self.class_first = class_first

    def forward(self, features):
        cosine = F.linear(F.normalize(features), F.normalize(self.weight))
        if self.class_first:
            cosine = torch.max(cosine.view(-1, self.classes, 3), dim=2)[0]
        else:
            cosine = torch.max(cosine.view(-1, 3, self.classes), dim=1)[0]
        return cosine.softmax(1).max(1)


def release(backbone="tf_efficientnet_b0", dilations=(3, 6, 9), **arguments):
    """A model of the authors' class with random weights that make a difference."""
    torch.manual_seed(3)
    net = randomize(Net(backbone, dilations, **arguments))
    net.global_pool.p.data.fill_(2.7)
    with torch.no_grad():
        for name, tensor in net.backbone.named_parameters():
            # Residual parts are small beside what they are added to, as in trained networks: else rounding
            # grows from block to block until it is what makes descriptors differ.
            if name.endswith(".0.bn3.weight") or ".bn3." not in name:
                continue
            tensor *= 0.2
    return calibrate(net, torch.randn(8, 3, 65, 130))


def export(module, path, example, opset=13, folding=True, as_inputs=False):
    """By the exporter that the authors had."""
    torch.onnx.export(
        module,
        (example,),
        str(path),
        dynamo=False,
        opset_version=opset,
        do_constant_folding=folding,
        keep_initializers_as_inputs=as_inputs,
    )
    return path


def worst_distance(ours, theirs, shapes=((64, 64), (65, 130), (96, 64))):
    """Of unit descriptors in float32 from theirs in float64, over photos of some shapes."""
    torch.manual_seed(5)
    exact, worst = copy.deepcopy(theirs).eval().double(), 0.0
    for shape in shapes:
        images = torch.randn(2, 3, *shape)
        with torch.no_grad():
            found, right = F.normalize(ours.eval()(images)), F.normalize(exact(images.double()))
        assert (right[0] - right[1]).norm() > 1e-2  # so that the images matter
        worst = max(worst, (found - right).norm(dim=1).max().item())
    return worst
