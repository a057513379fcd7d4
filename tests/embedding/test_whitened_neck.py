import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.retrieval.whitening import pca_whitening


@pytest.fixture
def photos():
    torch.manual_seed(0)
    return F.interpolate(torch.randn(40, 3, 8, 8), size=(64, 64), mode="bilinear")


def pooled_of(model, photos):
    model.eval()
    with torch.no_grad():
        return F.normalize(model.forward_pooled(photos), dim=1).double().numpy()


@pytest.mark.parametrize("neck", ["fc-bn-prelu", "fc-bn", "fc"])
def test_output_is_the_pca_whitening_of_the_normalised_pooled_features(neck, photos):
    model = lz.create_model("efficientnet_lite0_gem", neck=neck, embedding_dim=16, pretrained_backbone=True)
    lz.whiten_neck(model, photos, shrinkage=1e-2, progress=False)
    x = pooled_of(model, photos)
    centred = x - x.mean(0)
    _, s, vt = np.linalg.svd(centred, full_matrices=False)  # another way to the same axes
    e = s**2 / len(x)
    expected = centred @ vt[:16].T / np.sqrt(e[:16] + 1e-2 * e[0])
    with torch.no_grad():
        ours = model(photos).double().numpy()
    signs = np.sign((ours * expected).sum(0))
    np.testing.assert_allclose(ours, expected * signs, atol=2e-3)
    covariance = ours.T @ ours / len(ours)
    np.testing.assert_allclose(covariance, np.diag(e[:16] / (e[:16] + 1e-2 * e[0])), atol=5e-3)


def test_rows_beyond_the_rank_are_zero(photos):
    model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True)
    with pytest.warns(UserWarning, match=r"from 10 photos fills 9 of the 512 dimensions, .*embedding_dim=9"):
        lz.whiten_neck(model, photos[:10], progress=False)
    linear = model.neck[0]
    assert linear.weight[:9].abs().amax(1).min() > 0
    assert torch.count_nonzero(linear.weight[9:]) == 0
    assert torch.count_nonzero(linear.bias[9:]) == 0
    with torch.no_grad():
        assert torch.count_nonzero(model.eval()(photos)[:, 9:]) == 0


def test_works_for_dolg_is_recorded_and_deterministic(photos):
    torch.manual_seed(0)
    model = lz.create_model("dolg_efficientnet_lite0", hidden_dim=16, embedding_dim=8)
    lz.whiten_neck(model, photos, progress=False)
    weight = model.neck[0].weight.clone()
    lz.whiten_neck(model, photos, progress=False)
    torch.testing.assert_close(model.neck[0].weight, weight, rtol=0, atol=0)
    twin = lz.DOLG(**model.cfg.args)  # the cfg alone rebuilds the function
    twin.load_state_dict(model.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(twin.eval()(photos[:2]), model.eval()(photos[:2]))
    assert model.training is False


def test_published_scores_are_no_longer_its_own(photos):
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8)
    model.cfg = replace(model.cfg, scores=(lz.Score("mAP", 0.5, "of the trained neck"),))
    lz.whiten_neck(model, photos, progress=False)
    assert [score.of_paper for score in model.cfg.scores] == [True]


def test_training_goes_on_from_there(photos):
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8)
    model.train()
    lz.whiten_neck(model, photos, progress=False)
    assert model.training
    model(photos[:4]).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_nearly_equal_photos_do_not_make_directions_of_rounding_errors():
    torch.manual_seed(0)
    base = torch.randn(1, 3, 64, 64)
    photos = base + 1e-3 * torch.randn(10, 3, 64, 64)
    model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True)
    with pytest.warns(UserWarning, match="from 10 photos fills"):
        lz.whiten_neck(model, photos, shrinkage=1e-6, progress=False)
    assert (model.neck[0].weight.abs().amax(1) > 0).sum() <= 9


def test_enough_photos_whiten_without_a_word(photos):
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8, pretrained_backbone=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lz.whiten_neck(model, photos[:9], shrinkage=1.0, progress=False)


def test_a_photo_without_finite_features_is_named(tmp_path):
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=4)
    with torch.no_grad():
        model.backbone.conv_stem.weight.fill_(torch.nan)
    for row, color in enumerate([(127, 127, 127), (9, 200, 9), (200, 9, 9)]):
        Image.new("RGB", (32, 32), color).save(tmp_path / f"{row}.png")
    before = {name: tensor.clone() for name, tensor in model.neck.state_dict().items()}
    with pytest.raises(ValueError, match=r"NaN or infinite values for the photo 0\.png"):
        lz.whiten_neck(model, tmp_path, progress=False)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.neck.state_dict().items())
    assert not model.cfg.args["normalize_pooled"]


def test_transform_and_skipping(tmp_path):
    data = lz.rendered.RenderedLandmarks(2, 4, 0, image_size=64)
    for row in range(8):
        data[row][0].save(tmp_path / f"{row}.png")
    (tmp_path / "bad.png").write_bytes(b"")
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=4, pretrained_backbone=True)
    with pytest.raises(lz.PhotoError, match=r"bad\.png"):
        lz.whiten_neck(model, tmp_path, progress=False)
    transform = lz.create_transform(model, image_size=64)
    assert lz.whiten_neck(model, tmp_path, transform=transform, on_error="skip", progress=False) is model
    twin = lz.create_model("efficientnet_lite0_gem", embedding_dim=4, pretrained_backbone=True)
    lz.whiten_neck(twin, data, transform=transform, progress=False)
    torch.testing.assert_close(model.neck[0].weight, twin.neck[0].weight, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="on_error must be one of"):
        lz.whiten_neck(model, data, on_error="ignore")
    with pytest.raises(TypeError, match="leave transform= out"):
        lz.whiten_neck(model, torch.zeros(4, 3, 64, 64), transform=transform)


def test_a_transform_for_training_does_not_reach_the_neck():
    model, twin = (
        lz.create_model("efficientnet_lite0_gem", embedding_dim=4, pretrained_backbone=True) for _ in range(2)
    )
    training = lz.create_transform(model, training=True)
    for each, transform in ((model, None), (twin, training)):
        data = lz.rendered.RenderedLandmarks(2, 4, 0, image_size=64, transform=transform)
        lz.whiten_neck(each, data, progress=False)
    assert torch.equal(model.neck[0].weight, twin.neck[0].weight)


def test_golden_2d_example_and_signs():
    covariance = np.array([[2.0, 1.0], [1.0, 2.0]])  # eigenvalues 3 along (1, 1), 1 along (1, -1)
    rows = pca_whitening(covariance, 2, 0.0)
    np.testing.assert_allclose(np.abs(rows), [[6**-0.5] * 2, [2**-0.5] * 2])
    assert (rows.max(axis=1) > 0).all()
    np.testing.assert_allclose(rows @ covariance @ rows.T, np.eye(2), atol=1e-12)


def test_wrong_input(photos):
    with pytest.raises(ValueError, match="no Linear layer"):
        lz.whiten_neck(lz.create_model("efficientnet_lite0_gem", neck="none"), photos)
    with pytest.raises(ValueError, match="SiLU"):
        lz.whiten_neck(lz.create_model("efficientnet_lite0_gem", neck="fc-silu"), photos)
    model = lz.create_model("efficientnet_lite0_gem")
    for shrinkage in (-1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="shrinkage must be from 0 to 1"):
            lz.whiten_neck(model, photos, shrinkage=shrinkage)
    with pytest.raises(ValueError, match="at least 2 photos"):
        lz.whiten_neck(model, photos[:1], progress=False)
    with pytest.raises(ValueError, match="photos that differ"):
        lz.whiten_neck(model, photos[:1].expand(3, -1, -1, -1) * 0, progress=False, batch_size=1)
    with pytest.raises(TypeError, match="takes a landmarkzoo model"):
        lz.whiten_neck(torch.nn.Linear(2, 2), photos)
