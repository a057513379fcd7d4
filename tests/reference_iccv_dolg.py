"""DOLG of Yang et al. 2021 in plain torch, from what is known of their code, under their names."""

import torch
from torch.nn import functional as F

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def shapes(depth, classes, dim=512):
    """Shapes of all tensors, by name; batch norms by the name of their weight alone."""
    found = {"globalmodel.stem.conv.weight": (64, 3, 7, 7), "globalmodel.stem.bn.weight": (64,)}
    channels = 64
    for stage, count in enumerate(BLOCKS[depth], start=1):
        inner, outer = 32 * 2**stage, 128 * 2**stage
        for block in range(1, count + 1):
            at = f"globalmodel.s{stage}.b{block}"
            if block == 1:
                found |= {f"{at}.proj.weight": (outer, channels, 1, 1), f"{at}.bn.weight": (outer,)}
            for part, shape in (
                ("a", (inner, channels, 1, 1)),
                ("b", (inner, inner, 3, 3)),
                ("c", (outer, inner, 1, 1)),
            ):
                found |= {f"{at}.f.{part}.weight": shape, f"{at}.f.{part}_bn.weight": shape[:1]}
            channels = outer
    return found | {
        "localmodel.conv1.weight": (1024, 1024, 1, 1),
        "localmodel.conv1.bias": (1024,),
        "localmodel.bn.weight": (1024,),
        "localmodel.conv2.weight": (1, 1024, 1, 1),
        "localmodel.conv2.bias": (1,),
        "fc_t.weight": (1024, 2048),
        "fc_t.bias": (1024,),
        "fc.weight": (dim, 2048),
        "fc.bias": (dim,),
        "desc_cls.weight": (classes, dim),
    }


@torch.no_grad()
def random_state(depth, classes=7, seed=0):
    """Random weights, and statistics of batch norms that are near those of some images."""
    torch.manual_seed(seed)
    state = {"pool_g.p": torch.tensor([2.7]), "desc_cls.t": torch.tensor([0.3])}
    for name, shape in shapes(depth, classes).items():
        if name.endswith("bn.weight"):
            norm = name.removesuffix("weight")
            # Small branches, as trained ResNets have: else rounding grows from block to block.
            state[name] = (0.5 + torch.rand(shape)) * (0.25 if "c_bn" in name else 1.0)
            state[f"{norm}bias"] = 0.3 * torch.randn(shape)
            state[f"{norm}running_mean"], state[f"{norm}running_var"] = torch.zeros(shape), torch.ones(shape)
            state[f"{norm}num_batches_tracked"] = torch.tensor(11)
        else:
            fan_in = max(1, torch.Size(shape[1:]).numel())
            state[name] = torch.randn(shape) * (2 / fan_in) ** 0.5
    forward(state, torch.randn(4, 3, 96, 96), fit_norms=True)
    return state


def _norm(state, name, x, fit):
    if fit:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        state[f"{name}.running_mean"] = mean + 0.1 * torch.randn_like(mean)
        state[f"{name}.running_var"] = var * (0.7 + 0.6 * torch.rand_like(var)) + 1e-3
    mean, var, weight, bias = (
        state[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias


def _resnet(state, x, fit):
    """Maps of stages 3 and 4; the stride is on the 3x3 convolution."""
    x = F.conv2d(x, state["globalmodel.stem.conv.weight"], stride=2, padding=3)
    x = F.max_pool2d(F.relu(_norm(state, "globalmodel.stem.bn", x, fit)), 3, 2, 1)
    maps = []
    for stage in range(1, 5):
        block = 1
        while f"globalmodel.s{stage}.b{block}.f.a.weight" in state:
            at = f"globalmodel.s{stage}.b{block}"
            stride = 2 if stage > 1 and block == 1 else 1
            y = F.relu(_norm(state, f"{at}.f.a_bn", F.conv2d(x, state[f"{at}.f.a.weight"]), fit))
            y = F.conv2d(y, state[f"{at}.f.b.weight"], stride=stride, padding=1)
            y = F.conv2d(F.relu(_norm(state, f"{at}.f.b_bn", y, fit)), state[f"{at}.f.c.weight"])
            y = _norm(state, f"{at}.f.c_bn", y, fit)
            if block == 1:
                x = _norm(state, f"{at}.bn", F.conv2d(x, state[f"{at}.proj.weight"], stride=stride), fit)
            x = F.relu(x + y)
            block += 1
        maps.append(x)
    return maps[2], maps[3]


def forward(state, bgr, fit_norms=False):
    """Descriptors (B, 512), not normalised, of normalised images (B, 3, H, W) in blue, green, red."""
    local, deep = _resnet(state, bgr, fit_norms)
    z = F.conv2d(local, state["localmodel.conv1.weight"], state["localmodel.conv1.bias"])
    z = _norm(state, "localmodel.bn", z, fit_norms)
    score = F.conv2d(F.relu(z), state["localmodel.conv2.weight"], state["localmodel.conv2.bias"])
    local = z / z.norm(dim=1, keepdim=True) * torch.log1p(torch.exp(score))  # (B, 1024, h, w)
    p = state["pool_g.p"]
    pooled = deep.clamp(min=1e-6).pow(p).mean((2, 3)).pow(1 / p)  # (B, 2048)
    g = pooled @ state["fc_t.weight"].T + state["fc_t.bias"]  # (B, 1024)
    along = torch.einsum("bchw,bc->bhw", local, g) / (g * g).sum(1)[:, None, None]
    orthogonal = local - torch.einsum("bhw,bc->bchw", along, g)
    fused = torch.cat([g, orthogonal.mean((2, 3))], dim=1)  # (B, 2048), the global half first
    return fused @ state["fc.weight"].T + state["fc.bias"]
