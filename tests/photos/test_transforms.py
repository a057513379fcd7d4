import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

import landmarkzoo as lz
from landmarkzoo.photos.transforms import RandomJpeg

CFG = lz.get_model_cfg("efficientnet_lite0_gem")


def photo(size=(90, 60)):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 9, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def test_evaluation_is_squash_bicubic_and_normalise():
    x = lz.create_transform(CFG)(photo())
    resized = photo().resize((224, 224), Image.Resampling.BICUBIC)
    expected = (np.asarray(resized, np.float32) / 255 - 0.5) / 0.5
    assert x.dtype == torch.float32
    np.testing.assert_allclose(x.permute(1, 2, 0).numpy(), expected, atol=1e-6)


def test_mean_and_std_of_the_cfg_and_image_size():
    cfg = lz.get_model_cfg("dolg_efficientnet_b5")
    black = Image.new("RGB", (10, 10))
    x = lz.create_transform(cfg, image_size=(32, 48))(black)
    assert x.shape == (3, 32, 48)
    for channel in range(3):
        assert x[channel].unique().item() == pytest.approx(-cfg.mean[channel] / cfg.std[channel], rel=1e-5)
    assert lz.create_transform(cfg)(black).shape == (3, 768, 768)
    model = lz.create_model("efficientnet_lite0_gem")
    assert lz.create_transform(model, image_size=np.int64(64))(black).shape == (3, 64, 64)


def test_uint8_tensors_and_images_agree():
    transform = lz.create_transform(CFG, image_size=(60, 90))
    tensor = torch.from_numpy(np.asarray(photo()).copy()).permute(2, 0, 1)
    torch.testing.assert_close(transform(tensor), transform(photo()))


def test_training_augmentations_have_the_recipes_numbers():
    steps = {type(step).__name__: step for step in lz.create_transform(CFG, training=True).transforms}
    assert steps["RandomHorizontalFlip"].p == 0.5
    assert steps["RandomJpeg"].quality == (99, 100)
    affine = steps["RandomApply"].transforms[0]
    assert steps["RandomApply"].p == 0.7
    assert (affine.degrees, affine.translate, affine.scale) == ([-10, 10], (0.2, 0.2), (0.8, 1.2))
    assert isinstance(affine, v2.RandomAffine)
    assert steps["RandomErasing"].p == 0.5


def test_training_cuts_one_black_square_of_04_of_the_side():
    transform = lz.create_transform(CFG, training=True)
    white = Image.new("RGB", (64, 64), (255, 255, 255))
    step = next(s for s in transform.transforms if type(s).__name__ == "RandomErasing")
    step.p = 1.0
    next(s for s in transform.transforms if type(s).__name__ == "RandomApply").p = 0.0
    black = transform(white)[0] == -1.0  # 0 before normalising
    rows, columns = black.any(1).sum().item(), black.any(0).sum().item()
    assert rows == columns == round(0.4 * 224)
    assert black.sum() == rows * columns


def test_training_is_random_seedable_and_of_the_same_shape():
    transform = lz.create_transform(CFG, training=True)
    views = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        views.append(transform(photo()))
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])
    assert views[0].shape == (3, 224, 224)


def test_random_jpeg_compresses_by_the_drawn_quality():
    pixels = np.asarray(RandomJpeg((10, 10))(photo()), np.int64)
    assert 2 < np.abs(pixels - np.asarray(photo())).mean() < 40
    tensor = torch.from_numpy(np.asarray(photo()).copy()).permute(2, 0, 1)
    assert np.array_equal(np.asarray(RandomJpeg((10, 10))(tensor)), pixels)
    drawn = {np.asarray(RandomJpeg((98, 99))(photo())).tobytes() for _ in range(30)}
    assert len(drawn) == 2


def test_wrong_arguments():
    with pytest.raises(TypeError, match="a landmarkzoo model or a ModelCfg, got Linear"):
        lz.create_transform(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="image_size must be"):
        lz.create_transform(CFG, image_size=0)
    with pytest.raises(ValueError, match="resize must be 'squash'"):
        lz.create_transform(lz.ModelCfg("DOLG", {}, resize="crop"))
