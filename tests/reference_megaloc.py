"""MegaLoc in plain torch, in float64, from a state dict in its authors' layout; independent of the package.

Written from what is known of it: a transformer with layer scale, positions resized by bicubic interpolation
by the factor (n + .1) / grid, shares by Sinkhorn's iterations with two potentials. The options are the ways
to get it wrong.
"""

import math

import torch
import torch.nn.functional as F
from timm.layers import resample_abs_pos_embed

PATCH = 14


def random_state(*, width=64, depth=2, grid=37, clusters=64, cluster_dim=16, token=24, hidden=48, out=96):
    """A state dict in the layout of the published file, with values that make every part matter."""
    torch.manual_seed(5)
    shapes = {
        "backbone.cls_token": (1, 1, width),
        "backbone.pos_embed": (1, 1 + grid * grid, width),
        "backbone.patch_embed.proj": (width, 3, PATCH, PATCH),
        "backbone.norm": (width,),
        "aggregator.agg.token_features.0": (hidden, width),
        "aggregator.agg.token_features.2": (token, hidden),
        "aggregator.agg.cluster_features.0": (hidden, width, 1, 1),
        "aggregator.agg.cluster_features.3": (cluster_dim, hidden, 1, 1),
        "aggregator.agg.score.0": (hidden, width, 1, 1),
        "aggregator.agg.score.3": (clusters, hidden, 1, 1),
        "aggregator.agg.dust_bin": (),
        "aggregator.linear": (out, token + clusters * cluster_dim),
    }
    for block in (f"backbone.blocks.{number}" for number in range(depth)):
        shapes |= {f"{block}.norm1": (width,), f"{block}.norm2": (width,)}
        shapes |= {f"{block}.ls1.gamma": (width,), f"{block}.ls2.gamma": (width,)}
        shapes |= {f"{block}.attn.qkv": (3 * width, width), f"{block}.attn.proj": (width, width)}
        shapes |= {f"{block}.mlp.fc1": (4 * width, width), f"{block}.mlp.fc2": (width, 4 * width)}
    state = {}
    for name, shape in shapes.items():
        if name.endswith(("_token", "_embed", "gamma", "dust_bin")):
            state[name] = torch.randn(shape) * 0.5
            continue
        fan_in = math.prod(shape[1:])
        state[f"{name}.weight"] = (
            torch.randn(shape) * (2 / fan_in) ** 0.5 if fan_in > 1 else 1 + torch.rand(shape)
        )
        state[f"{name}.bias"] = torch.randn(shape[:1]) * 0.1
    state["aggregator.agg.score.3.weight"] *= 3  # so that the shares are far from even
    return state


def descriptors(
    state, images, *, heads, iterations=3, positions="dinov2", bin_=True, order="feature", norm=True
):
    """Descriptors (B, D) of length 1 of normalised images (B, 3, H, W)."""
    features, token = patches_and_token(state, images.double(), heads, positions)
    aggregated = aggregate(state, features, token, iterations, bin_, order, norm)
    return unit(linear(state, "aggregator.linear", aggregated))


def get(state, name):
    return state[name].double()


def linear(state, name, x):
    weight = get(state, f"{name}.weight")
    return x @ weight.reshape(len(weight), -1).T + get(state, f"{name}.bias")


def unit(x, dim=-1):
    return x / x.square().sum(dim, keepdim=True).sqrt()


def layer_norm(state, name, x):
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
    return (x - mean) / (variance + 1e-6).sqrt() * get(state, f"{name}.weight") + get(state, f"{name}.bias")


def patches_and_token(state, images, heads, positions):
    """Tokens after the last norm: patches (B, n, C) and class token (B, C)."""
    batch, _, height, width = images.shape
    rows, columns = height // PATCH, width // PATCH
    cut = images.reshape(batch, 3, rows, PATCH, columns, PATCH).permute(0, 2, 4, 1, 3, 5)
    x = linear(state, "backbone.patch_embed.proj", cut.reshape(batch, rows * columns, -1))
    x = torch.cat([get(state, "backbone.cls_token").expand(batch, -1, -1), x], dim=1)
    x = x + resized_positions(get(state, "backbone.pos_embed"), rows, columns, positions)
    depth = sum(name.endswith("ls1.gamma") for name in state)
    for block in (f"backbone.blocks.{number}" for number in range(depth)):
        x = x + get(state, f"{block}.ls1.gamma") * attention(
            state, block, layer_norm(state, f"{block}.norm1", x), heads
        )
        inner = linear(state, f"{block}.mlp.fc1", layer_norm(state, f"{block}.norm2", x))
        gelu = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
        x = x + get(state, f"{block}.ls2.gamma") * linear(state, f"{block}.mlp.fc2", gelu)
    x = layer_norm(state, "backbone.norm", x)
    return x[:, 1:], x[:, 0]


def attention(state, block, x, heads):
    batch, tokens, width = x.shape
    q, k, v = linear(state, f"{block}.attn.qkv", x).split(width, dim=-1)
    q, k, v = (part.reshape(batch, tokens, heads, -1).transpose(1, 2) for part in (q, k, v))
    weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(width // heads), dim=-1)
    return linear(state, f"{block}.attn.proj", (weights @ v).transpose(1, 2).reshape(batch, tokens, width))


def resized_positions(positions, rows, columns, how):
    grid = math.isqrt(positions.shape[1] - 1)
    if (rows, columns) == (grid, grid):
        return positions
    if how == "timm":
        return resample_abs_pos_embed(positions, [rows, columns], [grid, grid])
    maps = positions[0, 1:].reshape(grid, grid, -1)
    maps = torch.einsum("ra,abc->rbc", bicubic(grid, rows), maps)
    maps = torch.einsum("sb,rbc->rsc", bicubic(grid, columns), maps)
    return torch.cat([positions[:, :1], maps.reshape(1, rows * columns, -1)], dim=1)


def bicubic(old, new):
    """Weights (new, old) of cubic convolution, a = -.75, edges repeated, by the factor (new + .1) / old."""
    weights = torch.zeros(new, old, dtype=torch.float64)
    for row in range(new):
        center = (row + 0.5) * old / (new + 0.1) - 0.5
        for tap in range(math.floor(center) - 1, math.floor(center) + 3):
            d = abs(center - tap)
            if d <= 1:
                weight = 1.25 * d**3 - 2.25 * d**2 + 1
            else:
                weight = -0.75 * (d**3 - 5 * d**2 + 8 * d - 4)
            weights[row, min(max(tap, 0), old - 1)] += weight
    return weights


def mlp(state, name, x):
    last = max(
        int(key.split(".")[3]) for key in state if key.startswith(f"{name}.") and key.endswith("weight")
    )
    return linear(state, f"{name}.{last}", linear(state, f"{name}.0", x).clamp(min=0))


def aggregate(state, features, token, iterations, bin_, order, norm):
    t = unit(mlp(state, "aggregator.agg.token_features", token))  # (B, t)
    f = mlp(state, "aggregator.agg.cluster_features", features)  # (B, n, d)
    scores = mlp(state, "aggregator.agg.score", features).transpose(1, 2)  # (B, m, n)
    dust_bin = get(state, "aggregator.agg.dust_bin") if bin_ else None
    sums = torch.einsum("bnd,bmn->bdm", f, shares(scores, dust_bin, iterations))
    sums = unit(sums, dim=1) if norm else sums
    sums = sums if order == "feature" else sums.transpose(1, 2)
    return unit(torch.cat([t, sums.flatten(1)], dim=1))


def shares(scores, dust_bin, iterations):
    """Shares (B, m, n) of each position for each cluster; without a dust bin clusters take n / m each."""
    batch, m, n = scores.shape
    norm = -math.log(n + m)
    row_marginals = torch.full((batch, m), norm, dtype=torch.float64)
    if dust_bin is None:
        row_marginals += math.log(n / m)
        table = scores
    else:
        table = torch.cat([scores, dust_bin.reshape(1, 1, 1).expand(batch, 1, n)], dim=1)
        row_marginals = F.pad(row_marginals, (0, 1), value=norm + math.log(n - m))
    u, v = torch.zeros_like(row_marginals), torch.zeros(batch, n, dtype=torch.float64)
    for _ in range(iterations):
        u = row_marginals - torch.logsumexp(table + v[:, None, :], dim=2)
        v = norm - torch.logsumexp(table + u[:, :, None], dim=1)
    return torch.exp(table + u[:, :, None] + v[:, None, :] - norm)[:, :m]
