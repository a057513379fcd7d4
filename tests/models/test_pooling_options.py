"""GlobalDescriptor's poolings: regional GeM, GeM's arguments, maps of unit vectors, a floor for ReLUs."""

import pytest
import torch
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.layers import gem, regional_map

SUPERGLOBAL = {
    "pool": "regional-gem",
    "pool_trainable": False,
    "pool_args": {"p": 4.6, "eps": 1e-8},
    "relu_floor": 0.014,
    "normalize_pooled": True,
    "neck": "fc",
    "embedding_dim": 16,
}


def test_each_option_does_what_it_says():
    images = torch.randn(2, 3, 97, 131)
    with torch.no_grad():
        for pool, expected in (
            ("gem", lambda x: gem(x, 2.5, 1e-4)),
            ("regional-gem", lambda x: gem(regional_map(x), 2.5, 1e-4)),
        ):
            args = {"pool": pool, "pool_args": {"p": 2.5, "eps": 1e-4}, "neck": "none"}
            model = lz.GlobalDescriptor("resnet18", **args).eval()
            features = model.forward_features(images)
            torch.testing.assert_close(model(images), expected(features))
            normed = lz.GlobalDescriptor("resnet18", **args, normalize_map=True).eval()
            normed.load_state_dict(model.state_dict())
            torch.testing.assert_close(normed(images), expected(F.normalize(features, dim=1)))
            torch.testing.assert_close(normed.forward_features(images), features)  # before the pooling


def test_the_defaults_of_the_poolings_are_those_of_their_authors():
    assert lz.GlobalDescriptor("resnet18", pool="gem").global_pool.extra_repr().startswith("p=3, eps=1e-06")
    regional = lz.GlobalDescriptor("resnet18", pool="regional-gem").global_pool
    assert regional.extra_repr() == "p=4.6, eps=1e-08, trainable=True"


def test_half_precision_does_not_overflow_in_the_norm_of_a_map():
    class Large(torch.nn.Module):
        num_features = 8

        def forward(self, images):
            return images.new_full((images.shape[0], 8, 3, 3), 30000.0)  # a norm beyond float16

    model = lz.GlobalDescriptor(Large(), pool="avg", neck="none", normalize_map=True)
    descriptors = model(torch.zeros(1, 3, 32, 32, dtype=torch.float16))
    assert descriptors.dtype == torch.float16
    torch.testing.assert_close(descriptors, torch.full((1, 8), 8**-0.5, dtype=torch.float16))


def test_saved_and_loaded_as_it_was(tmp_path):
    model = lz.GlobalDescriptor("resnet26", **SUPERGLOBAL).eval()
    model.save_pretrained(tmp_path / "m")
    again = lz.create_model(tmp_path / "m").eval()
    assert dict(again.cfg.args) == dict(model.cfg.args)
    assert (again.cfg.args["pool_args"], again.cfg.args["relu_floor"]) == ({"p": 4.6, "eps": 1e-8}, 0.014)
    images = torch.randn(1, 3, 65, 90)
    with torch.no_grad():
        assert torch.equal(again(images), model(images))
        plain = lz.create_model(tmp_path / "m", relu_floor=None).eval()
        assert not torch.equal(plain(images), model(images))


def test_create_model_takes_them():
    model = lz.create_model("gem_resnet50", pool="regional-gem", pool_args={"p": 2.0}, normalize_map=True)
    args = model.cfg.args
    assert (args["pool"], args["pool_args"], args["normalize_map"]) == ("regional-gem", {"p": 2.0}, True)
    assert model.global_pool.extra_repr() == "p=2, eps=1e-08, trainable=True"
    assert (args["relu_floor"], lz.get_model_cfg("superglobal_resnet50").args["relu_floor"]) == (None, 0.014)


@pytest.mark.parametrize(("backbone", "least"), [("resnet26", 65), ("test_vit", 48)])
def test_photos_whose_map_cannot_be_reflected_are_refused_with_the_size_that_is_right(backbone, least):
    model = lz.GlobalDescriptor(backbone, pool="regional-gem", backbone_args=_any_size(backbone)).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, least, 3 * least)).shape == (1, 512)
        with pytest.raises(ValueError, match=rf"needs at least {least}x{least} px: resize them up"):
            model(torch.randn(1, 3, least - 16, 160))


def _any_size(backbone):
    return {"dynamic_img_size": True} if backbone == "test_vit" else None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"pool": "avg", "pool_args": {"p": 3.0}},
            ValueError,
            "are for pool='gem' and 'regional-gem', got {'p'",
        ),
        ({"pool_args": {"power": 3.0}}, ValueError, "pool_args takes p and eps, got 'power'"),
        ({"pool_args": {"trainable": False}}, ValueError, "whether p is learned is pool_trainable"),
        (
            {"pool_args": 4.6},
            TypeError,
            "pool_args must be a dictionary, such as {'p': 4.6, 'eps': 1e-8}, got 4.6",
        ),
        ({"pool_args": {"p": -1.0}}, ValueError, "GeM needs a finite p"),
        (
            {"pool": "regional_gem"},
            ValueError,
            r"pool must be one of \('gem', 'regional-gem', 'avg', 'cls'\)",
        ),
        ({"relu_floor": 0.014}, ValueError, "this ResNet is another network: leave relu_floor out"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        lz.GlobalDescriptor("resnet18", **options)


def test_unit_vectors_need_a_map():
    with pytest.raises(ValueError, match="normalize_map is for poolings of the map"):
        lz.GlobalDescriptor("test_vit", pool="cls", normalize_map=True)


def test_superglobal_learns_and_does_not_learn_its_power():
    model = lz.GlobalDescriptor("resnet26", **SUPERGLOBAL)
    model(torch.randn(2, 3, 96, 96)).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    assert "global_pool.p" not in dict(model.named_parameters())
