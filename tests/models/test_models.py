"""One body of tests over all registered models."""

import copy
import pickle
import socket

import pytest
import torch

import landmarkzoo as lz

SMALL = ["dolg_efficientnet_lite0", "dolg_efficientnet_b0", "efficientnet_lite0_gem"]
SLOW = ["*_base*", "*_b7", "efficientnet_b6", "megaloc"]  # tested by CI alone
# The map of the last Swin block is not used when the token is, and so is the bias of its windows.
WITHOUT_GRADIENT = {
    name: ["transformer.layers.3.blocks.1.attn.relative_position_bias_table"]
    for name in lz.list_models("hybrid*")
}


def images(batch=2, size=64):
    return torch.randn(batch, 3, size, size)


def fitting_images(model, batch=2):
    """As small as the model takes them, but for those of 64 px and less."""
    rule = model.size_rule
    return images(batch, rule.maximum or max(rule.minimum, -(-64 // rule.multiple) * rule.multiple))


def all_models():
    slow = set(lz.list_models(SLOW))
    return [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in lz.list_models()]


@pytest.fixture(scope="module", params=all_models())
def model(request):
    torch.manual_seed(0)
    return lz.create_model(request.param)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **named):
        raise AssertionError("this needs no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(AssertionError, match="needs no network"):
        socket.create_connection(("127.0.0.1", 9))


def test_forward_pooled_and_embedding_dim(model):
    model.eval()
    x = fitting_images(model)
    with torch.no_grad():
        out = model(x)
        pooled = model.forward_pooled(x)
    assert out.shape == (2, model.embedding_dim) == (2, model.cfg.embedding_dim)
    assert torch.isfinite(out).all()
    assert pooled.shape == (2, model.neck[0].in_features if len(model.neck) else model.embedding_dim)


def test_every_parameter_gets_a_gradient(model):
    model.train().zero_grad()
    model(fitting_images(model)).square().sum().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == WITHOUT_GRADIENT.get(model.cfg.name, [])
    model.zero_grad()


def test_eval_is_deterministic_and_independent_of_the_batch(model):
    model.eval()
    x = fitting_images(model, 3)
    with torch.no_grad():
        whole, single = model(x), model(x[1:2])
        torch.testing.assert_close(model(x), whole, rtol=0, atol=0)
    torch.testing.assert_close(single, whole[1:2], rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("no_network")
def test_saved_and_loaded_without_network_it_is_the_same_bit_for_bit(model, tmp_path):
    model.eval().save_pretrained(tmp_path)
    twin = lz.create_model(f"local-dir:{tmp_path}").eval()
    assert twin.cfg == model.cfg
    state = model.state_dict()
    assert twin.state_dict().keys() == state.keys()
    for name, tensor in twin.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    x = fitting_images(model)
    with torch.no_grad():
        assert torch.equal(twin(x), model(x))


def test_other_image_sizes_and_too_small_ones(model):
    model.eval()
    rule = model.size_rule
    smallest, other = rule.minimum, rule.maximum or 6 * rule.multiple * -(-16 // rule.multiple)
    message = f"sides from {smallest} to" if rule.maximum else f"at least {smallest}x{smallest} px"
    with torch.no_grad():
        assert model(torch.randn(1, 3, other, smallest)).shape == (1, model.embedding_dim)
        assert model(torch.randn(1, 3, smallest, smallest)).shape == (1, model.embedding_dim)
        with pytest.raises(ValueError, match=message):
            model(torch.randn(1, 3, smallest - 1, other))


@pytest.mark.parametrize("name", SMALL)
def test_channels_last_and_low_precision(name):
    model, x = lz.create_model(name).eval(), images()
    with torch.no_grad():
        plain = model(x)
        last = model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
        torch.testing.assert_close(last, plain, rtol=1e-3, atol=1e-4)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            low = model(x).float()
    assert torch.nn.functional.cosine_similarity(low, plain).min() > 0.98


@pytest.mark.parametrize("name", SMALL)
def test_copies_and_pickles(name):
    model = lz.create_model(name).eval()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin.cfg == model.cfg
        with torch.no_grad():
            x = images(1)
            torch.testing.assert_close(twin(x), model(x), rtol=0, atol=0)


def test_wrong_images():
    model = lz.create_model("efficientnet_lite0_gem").eval()
    with pytest.raises(ValueError, match=r"one image is images\[None\]"):
        model(torch.randn(3, 64, 64))
    with pytest.raises(ValueError, match=r"RGB images \(B, 3, H, W\), got \(1, 1, 64, 64\)"):
        model(torch.randn(1, 1, 64, 64))
    with pytest.raises(TypeError, match="create_transform"):
        model(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))


class TestDOLG:
    def test_features_are_those_of_both_strides(self):
        model = lz.create_model("dolg_efficientnet_lite0", hidden_dim=32).eval()
        local, global_ = model.forward_features(images(1, 128))
        assert local.shape == (1, 32, 8, 8)
        assert global_.shape == (1, 32, 4, 4)

    def test_attention_is_what_weighs_the_local_features(self):
        model = lz.create_model("dolg_efficientnet_lite0", hidden_dim=32).eval()
        x = images(2, 96)
        with torch.no_grad():
            attention, (local, _) = model.attention(x), model.forward_features(x)
        assert attention.shape == (2, 6, 6)
        torch.testing.assert_close(local.norm(dim=1), attention)  # values have length 1 before

    def test_stem_stride_1_doubles_the_maps_and_keeps_the_weights(self):
        model = lz.create_model("dolg_efficientnet_lite0", hidden_dim=32)
        fine = lz.create_model("dolg_efficientnet_lite0", hidden_dim=32, stem_stride=1).eval()
        fine.load_state_dict(model.state_dict())
        local, global_ = fine.forward_features(images(1, 64))
        assert local.shape == (1, 32, 8, 8)
        assert global_.shape == (1, 32, 4, 4)
        assert fine.size_rule.minimum == 16

    def test_forward_equals_the_plain_formulation_of_the_paper(self):
        model = lz.create_model("dolg_efficientnet_lite0", hidden_dim=16).eval()
        x = images(2, 96)
        with torch.no_grad():
            local, global_map = model.forward_features(x)
            g = global_map.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)
            inner = torch.einsum("bchw,bc->bhw", local, g)
            projection = inner[:, None] / (g * g).sum(1)[:, None, None, None] * g[:, :, None, None]
            fused = torch.cat([local - projection, g[:, :, None, None].expand_as(local)], dim=1)
            expected = model.neck(fused.mean((2, 3)))  # the (2C, H, W) map that ours never builds
            torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)

    def test_reference_projection_differs_and_reaches_the_fusion(self):
        exact = lz.create_model("dolg_efficientnet_lite0", hidden_dim=16).eval()
        reference = lz.create_model("dolg_efficientnet_lite0", hidden_dim=16, projection="reference").eval()
        reference.load_state_dict(exact.state_dict())
        x = images()
        with torch.no_grad():
            assert not torch.allclose(exact(x), reference(x))
        assert reference.cfg.args["projection"] == "reference"

    def test_paper_sizes_of_the_layers(self):
        model = lz.create_model("dolg_efficientnet_b5")
        assert [conv.in_channels for conv in model.multi_atrous.branches] == [176] * 3
        assert [conv.dilation[0] for conv in model.multi_atrous.branches] == [6, 12, 18]
        assert [conv.out_channels for conv in model.multi_atrous.branches] == [512] * 3
        assert model.multi_atrous.project.weight.shape == (1024, 1536, 1, 1)
        assert model.global_project.weight.shape == (1024, 512, 1, 1)
        assert model.global_norm.eps == 1e-3
        assert model.neck[0].weight.shape == (512, 2048)

    def test_works_on_a_resnet(self):
        model = lz.DOLG("resnet18", hidden_dim=16, dilations=(3, 6), embedding_dim=7).eval()
        assert model(images()).shape == (2, 7)
        assert model.cfg.mean == (0.485, 0.456, 0.406)

    def test_wrong_dilations(self):
        with pytest.raises(ValueError, match="dilations must be a positive integer, got 0"):
            lz.DOLG("tf_efficientnet_lite0", dilations=(0, 3))


class TestGlobalDescriptor:
    @pytest.mark.parametrize(
        ("backbone", "pool", "width"),
        [
            ("resnet18", "gem", 512),
            ("convnext_atto", "avg", 320),
            ("swin_tiny_patch4_window7_224", "avg", 768),
            ("vit_tiny_patch16_224", "gem", 192),
            ("vit_tiny_patch16_224", "cls", 192),
        ],
    )
    def test_roomss_of_timm(self, backbone, pool, width):
        model = lz.GlobalDescriptor(backbone, pool=pool, neck="none").eval()
        x = images(1, 224)
        with torch.no_grad():
            features, out = model.forward_features(x), model(x)
        assert features.shape[:2] == (1, width)
        assert out.shape == (1, width)
        raw = model.backbone.forward_features(x)
        if pool == "cls":
            torch.testing.assert_close(out, raw[:, 0])
        elif pool == "avg" and raw.shape[-1] == width:  # NHWC
            torch.testing.assert_close(out, raw.mean((1, 2)))
        elif pool == "avg":
            torch.testing.assert_close(out, raw.mean((2, 3)))

    def test_wrong_arguments(self):
        with pytest.raises(ValueError, match="pool must be one of"):
            lz.GlobalDescriptor("resnet18", pool="max")
        with pytest.raises(ValueError, match="no class token"):
            lz.GlobalDescriptor("resnet18", pool="cls")

    def test_fixed_power_of_gem(self):
        model = lz.GlobalDescriptor("resnet18", pool_trainable=False, neck="fc-bn")
        assert "global_pool.p" not in dict(model.named_parameters())
