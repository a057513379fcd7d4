"""The hybrid: its token against a slow formulation, its map against timm's own Swin."""

import copy

import pytest
import torch
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.backbones.pyramid import pyramid_maps

TINY = {"cnn": "tf_efficientnet_b0", "transformer": "swin_tiny_patch4_window7_224"}


def tiny(**arguments):
    return lz.HybridSwin(**{**TINY, "image_size": 448, "cnn_level": 8, "embedding_dim": 16, **arguments})


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = tiny().eval()
    with torch.no_grad():  # as after training: nothing is zero
        model.position.normal_(std=0.1)
        for bias in model.token_key_bias:
            bias.normal_()
    return model


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 448, 448, generator=torch.Generator().manual_seed(1))


def swin_input(model, images):
    (features,) = pyramid_maps(model.cnn, images)
    return model.project(features)  # (B, C, 56, 56)


def heads(x, count):
    return x.view(*x.shape[:-1], count, -1).transpose(-3, -2)  # (..., N, C) -> (..., h, N, d)


def slow_block(block, x_map, token, key_bias):
    """One image: a map (H, W, C) and a token (C,), window by window and with masks by region."""
    (height, width, channels), attention = x_map.shape, block.attn
    h, (size, _), (shift, _) = attention.num_heads, block.window_size, block.shift_size
    normed_map, normed_token = block.norm1(x_map), block.norm1(token)
    q_t, k_t, v_t = attention.qkv(normed_token).view(3, h, -1)  # (h, d) each
    qkv = attention.qkv(normed_map)  # (H, W, 3 C)
    table = attention.relative_position_bias_table.view(2 * size - 1, 2 * size - 1, h)
    out = torch.zeros_like(x_map)
    for top in range(0, height, size):
        for left in range(0, width, size):
            # where the positions of this window stand in the map, before it was rolled
            places = [((top + y + shift), (left + x + shift)) for y in range(size) for x in range(size)]
            at = torch.tensor([[y % height, x % width] for y, x in places])
            wraps = torch.tensor([[y >= height, x >= width] for y, x in places])
            q, k, v = (
                heads(part, h) for part in qkv[at[:, 0], at[:, 1]].view(size * size, 3, channels).unbind(1)
            )
            scores = q @ k.transpose(1, 2) * attention.scale  # (h, N, N)
            inside = torch.tensor([(y, x) for y in range(size) for x in range(size)])
            offset = inside[:, None] - inside[None] + size - 1
            scores = scores + table[offset[..., 0], offset[..., 1]].permute(2, 0, 1)
            # only the last windows wrap around; what wrapped does not see what did not
            apart = (wraps[:, None] != wraps[None]).any(dim=2)
            scores = scores.masked_fill(apart, -1e4)
            to_token = (q * k_t[:, None]).sum(2, keepdim=True) * attention.scale + key_bias[:, None, None]
            weights = torch.cat([scores, to_token], dim=2).softmax(dim=2)
            mixed = weights[..., :-1] @ v + weights[..., -1:] * v_t[:, None]  # (h, N, d)
            out[at[:, 0], at[:, 1]] = mixed.transpose(0, 1).reshape(size * size, channels)
    _, k, v = (heads(part, h) for part in qkv.view(-1, 3, channels).unbind(1))  # (h, H * W, d)
    k, v = torch.cat([k, k_t[:, None]], dim=1), torch.cat([v, v_t[:, None]], dim=1)
    weights = ((q_t[:, None] * k).sum(2) * attention.scale).softmax(dim=1)  # (h, H * W + 1)
    out_token = (weights[..., None] * v).sum(1).flatten()
    x_map, token = x_map + attention.proj(out), token + attention.proj(out_token)
    return x_map + block.mlp(block.norm2(x_map)), token + block.mlp(block.norm2(token))


def slow_token(model, images):
    """Maps (B, h, w, C) and tokens (B, C) after the final norm."""
    swin, results = model.transformer, []
    for x_map in swin_input(model, images).permute(0, 2, 3, 1):
        x_map = x_map + model.position.view(1, 56, 56, -1)[0]
        token, number = model.token[0, 0], 0
        for stage in swin.layers:
            if hasattr(stage.downsample, "reduction"):
                x_map = stage.downsample(x_map[None])[0]
                four = stage.downsample.norm(torch.cat([token] * 4))
                token = stage.downsample.reduction(four)
            for block in stage.blocks:
                last = number == len(model.token_key_bias)
                bias = torch.zeros(block.attn.num_heads) if last else model.token_key_bias[number]
                x_map, token = slow_block(block, x_map, token, bias)
                number += 1
        results.append((swin.norm(x_map), swin.norm(token)))
    maps, tokens = zip(*results)
    return torch.stack(maps), torch.stack(tokens)


@torch.no_grad()
def test_token_attention_equals_a_slow_formulation(model, images):
    maps, tokens = slow_token(model, images)
    torch.testing.assert_close(model.forward_pooled(images), tokens, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model.forward_features(images).permute(0, 2, 3, 1), maps, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model(images), model.neck(tokens), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_with_the_token_key_masked_the_map_is_that_of_timm(images):
    model = tiny().eval()  # the position embedding starts at zero
    for bias in model.token_key_bias:
        bias.fill_(-torch.inf)
    never = lambda block: torch.full((model._blocks[block].attn.num_heads,), -torch.inf)  # noqa: E731
    model._key_bias = never
    swin, x = model.transformer, swin_input(model, images).permute(0, 2, 3, 1)
    expected = swin.norm(swin.layers(x)).permute(0, 3, 1, 2)
    torch.testing.assert_close(model.forward_features(images), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_average_is_that_of_timm_and_has_neither_token_nor_positions(images):
    model = tiny(aggregation="avg").eval()
    swin, x = model.transformer, swin_input(model, images).permute(0, 2, 3, 1)
    expected = swin.norm(swin.layers(x)).mean((1, 2))
    torch.testing.assert_close(model.forward_pooled(images), expected, rtol=1e-5, atol=1e-5)
    names = {name.partition(".")[0] for name, _ in model.named_parameters()}
    assert names == {"transformer", "cnn", "project", "neck"}


def test_every_parameter_gets_a_gradient_but_the_bias_table_of_the_last_block():
    x = torch.randn(2, 3, 224, 224)
    for aggregation, without in (
        ("token", ["transformer.layers.3.blocks.1.attn.relative_position_bias_table"]),
        ("avg", []),
    ):
        model = tiny(aggregation=aggregation, image_size=224, cnn_level=4)
        model(x).square().sum().backward()
        assert [name for name, p in model.named_parameters() if p.grad is None] == without
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("aggregation", ["token", "avg"])
def test_gradient_checkpointing_gives_the_same_gradients(aggregation):
    model = tiny(aggregation=aggregation, image_size=224, cnn_level=4).eval()
    twin = copy.deepcopy(model)
    twin.set_grad_checkpointing()
    x = torch.randn(1, 3, 224, 224)
    for one in (model, twin):
        one(x).square().sum().backward()
    for p, q in zip(model.parameters(), twin.parameters()):
        if p.grad is not None:
            torch.testing.assert_close(p.grad, q.grad)


@pytest.mark.parametrize("size", [441, 448])
def test_sizes_whose_map_is_the_grid(size, images):
    model = tiny().eval()
    with torch.no_grad():
        assert model(images[:, :, :size, :]).shape == (2, 16)


@pytest.mark.parametrize("size", [224, 440, 449])
def test_other_sizes_are_refused_with_those_that_fit(size):
    model = tiny()
    with pytest.raises(ValueError, match="sides from 441 to 448 px"):
        model(torch.zeros(1, 3, size, 448))
    with pytest.raises(ValueError, match="sides from 441 to 448 px"):
        tiny(image_size=size)
    with pytest.raises(ValueError, match="sides from 881 to 896 px"):
        tiny(cnn_level=16)
    with pytest.raises(ValueError, match="sides from 221 to 224 px"):
        tiny(stem_stride=1)


def test_other_parts():
    stem = tiny(image_size=448, cnn_level=16, stem_stride=1)
    assert stem.project.weight.shape == (96, 112, 1, 1)
    wide = lz.HybridSwin("resnet18", "swin_s3_tiny_224", image_size=(224, 222), cnn_level=4)
    assert wide.cfg.input_size == (3, 224, 222)
    with torch.no_grad():
        assert wide.eval()(torch.zeros(1, 3, 224, 222)).shape == (1, 512)
    with pytest.raises(ValueError, match="a Swin is needed"):
        tiny(transformer="vit_tiny_patch16_224")
    with pytest.raises(ValueError, match="aggregation must be one of"):
        tiny(aggregation="cls")
    with pytest.raises(ValueError, match="cnn_level must be 4, 8 or 16"):
        tiny(cnn_level=5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_large_activations_do_not_overflow_under_autocast(dtype, images):
    model = tiny().eval()
    with torch.no_grad():
        model.project.weight.mul_(1e8)  # the map that the Swin gets is far beyond float16
        with torch.autocast("cpu", dtype=dtype):
            out = model(images)
        assert swin_input(model, images).abs().max() > 65504
    assert torch.isfinite(out).all()
    assert F.cosine_similarity(out.float(), model(images), dim=1).min() > 0.9


@pytest.mark.slow
def test_200_training_steps_under_autocast_stay_finite():
    torch.manual_seed(0)
    model = tiny(image_size=224, cnn_level=4, embedding_dim=64).train()
    head = lz.SubCenterArcFaceDynamic(64, 8, margins=0.3)
    optimizer = torch.optim.Adam([*model.parameters(), *head.parameters()], lr=1e-4)
    x, y = torch.randn(8, 3, 224, 224), torch.arange(8)
    losses = []
    for step in range(200):
        rows = torch.arange(2) + 2 * (step % 4)
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = head(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        assert torch.isfinite(loss), step
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert min(losses[-10:]) < losses[0]


def test_a_network_that_rounds_down_says_which_map_it_has():
    model = lz.HybridSwin("convnext_atto", "swin_tiny_patch4_window7_224", image_size=448, cnn_level=8)
    with torch.no_grad():
        assert model(torch.zeros(2, 3, 448, 448)).shape == (2, 512)
        with pytest.raises(ValueError, match=r"map of the cnn has \(55, 55\) positions.*takes \(56, 56\)"):
            model(torch.zeros(1, 3, 441, 441))


def test_a_cnn_of_one_size_is_refused_where_it_does_not_fit():
    with pytest.raises(ValueError, match="224x224"):
        lz.HybridSwin(
            "swin_tiny_patch4_window7_224", "swin_tiny_patch4_window7_224", image_size=448, cnn_level=8
        )
