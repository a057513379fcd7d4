"""The forward passes of the authors' code, written out on the tensors of a checkpoint under their names.

In float64, in which rounding does not hide a difference.
"""

import timm
import torch
from torch.nn import functional as F


def _cnn(state, prefix, name, stem_stride=2):
    cnn = timm.create_model(name, features_only=True)
    cnn.load_state_dict(
        {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}, strict=True
    )
    cnn.conv_stem.stride = (stem_stride, stem_stride)
    return cnn.eval().double()


def _conv(state, name, x, **arguments):
    return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], **arguments)


def _batch_norm(state, name, x, eps):
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"], eps=eps)


def _linear(state, name, x):
    return F.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))


def _layer_norm(state, name, x):
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])


def _neck(state, x):
    return F.prelu(_batch_norm(state, "neck.1", _linear(state, "neck.0", x), 1e-5), state["neck.2.weight"])


def _gem(x, p, eps=1e-6):
    return F.avg_pool2d(x.clamp(min=eps).pow(p), x.shape[-2:]).pow(1.0 / p)


def _doubled(state):
    return {name: t.double() if t.is_floating_point() else t for name, t in state.items()}


def dolg(state, x, *, backbone, dilations, stem_stride=2):
    state = _doubled(state)
    maps = _cnn(state, "backbone.", backbone, stem_stride)(x)
    x_l, x_g = maps[-2], maps[-1]
    atrous = [_conv(state, f"mam.d{i}", x_l, dilation=d, padding="same") for i, d in enumerate(dilations)]
    x_l = F.relu(_conv(state, "mam.conv1", torch.cat(atrous, dim=1)))
    x_l = _batch_norm(state, "attention2d.bn", _conv(state, "attention2d.conv1", x_l), 1e-5)
    values = F.normalize(x_l, p=2, dim=1)
    x_l = F.softplus(_conv(state, "attention2d.conv2", F.relu(x_l))) * values
    x_g = F.silu(_batch_norm(state, "bn_g", _conv(state, "conv_g", x_g), 1e-3))
    x_g = _gem(x_g, state["global_pool.p"])[:, :, 0, 0]
    norm = torch.norm(x_g, p=2, dim=1)
    projection = torch.bmm(x_g.unsqueeze(1), torch.flatten(x_l, start_dim=2))  # (B, 1, H * W)
    projection = torch.bmm(x_g.unsqueeze(2), projection).view(x_l.size()) / norm.view(-1, 1, 1, 1)
    everywhere = x_g.unsqueeze(-1).unsqueeze(-1).expand(x_l.size())
    fused = F.adaptive_avg_pool2d(torch.cat([x_l - projection, everywhere], dim=1), 1)[:, :, 0, 0]
    return _neck(state, fused)


def _windows(x, size):
    b, h, w, c = x.shape
    x = x.view(b, h // size, size, w // size, size, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, size * size, c)


def _swin_block(state, name, x, grid, size, shift):
    b, length, c = x.shape
    heads = state[f"{name}.attn.relative_position_bias_table"].shape[1]
    y = _layer_norm(state, f"{name}.norm1", x).view(b, grid, grid, c)
    windows = _windows(torch.roll(y, (-shift, -shift), dims=(1, 2)), size)
    qkv = _linear(state, f"{name}.attn.qkv", windows).view(len(windows), size * size, 3, heads, -1)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    scores = q * (c // heads) ** -0.5 @ k.transpose(-2, -1)
    index = state[f"{name}.attn.relative_position_index"].flatten()
    table = state[f"{name}.attn.relative_position_bias_table"][index]
    scores = scores + table.view(size * size, size * size, heads).permute(2, 0, 1)
    if shift:
        mask = state[f"{name}.attn_mask"]
        scores = (scores.view(b, len(mask), heads, size**2, size**2) + mask[:, None]).view_as(scores)
    y = _linear(state, f"{name}.attn.proj", (scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
    y = y.view(b, grid // size, grid // size, size, size, c).permute(0, 1, 3, 2, 4, 5)
    y = torch.roll(y.reshape(b, grid, grid, c), (shift, shift), dims=(1, 2))
    x = x + y.reshape(b, length, c)
    hidden = F.gelu(_linear(state, f"{name}.mlp.fc1", _layer_norm(state, f"{name}.norm2", x)))
    return x + _linear(state, f"{name}.mlp.fc2", hidden)


def hybrid(state, x, *, cnn, level, depths, window, stem_stride=2):
    """Swin of timm 0.4.12: patches are merged at the end of a stage."""
    state = _doubled(state)
    maps = _cnn(state, "backbone.patch_embed.backbone.", cnn, stem_stride)(x)
    x = maps[{4: 1, 8: 2, 16: 3}[level]]
    x = _conv(state, "backbone.patch_embed.proj", x).flatten(2).transpose(1, 2)
    grid = int(x.shape[1] ** 0.5)
    for i, depth in enumerate(depths):
        for j in range(depth):
            shift = window // 2 if j % 2 and grid > window else 0
            x = _swin_block(state, f"backbone.layers.{i}.blocks.{j}", x, grid, window, shift)
        if i < len(depths) - 1:
            x = x.view(len(x), grid, grid, -1)
            parts = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
            merged = _layer_norm(state, f"backbone.layers.{i}.downsample.norm", torch.cat(parts, dim=-1))
            x = _linear(state, f"backbone.layers.{i}.downsample.reduction", merged).flatten(1, 2)
            grid //= 2
    return _neck(state, _layer_norm(state, "backbone.norm", x).mean(dim=1))
