import numpy as np
import pytest
import torch
from PIL import Image

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


def two_dots(side):
    """Two white dots on grey, the left one of twice the area."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    white = np.zeros((side, side))
    for place, radius in ((-0.15 * side, 0.05 * side * 2**0.5), (0.15 * side, 0.05 * side)):
        white += np.clip(radius + 0.5 - np.hypot(x - place, y), 0, 1)
    return Image.fromarray((60 + 195 * white).round().astype(np.uint8)).convert("RGB")


def dots_of(image):
    """Areas (2,) and centres (2, 2), row and column, of the left and of the right dot, or of what is seen."""
    white = np.clip((image[0] * 255 - 75) / 180, 0, 1)
    columns = np.flatnonzero(white.max(axis=0) > 0.5)
    middle = (columns.min(initial=len(white)) + columns.max(initial=0)) // 2
    rows, places = np.mgrid[: len(white), : len(white)]
    parts = [white * (places < middle), white * (places >= middle)]
    areas = np.array([part.sum() for part in parts])
    sums = [((part * rows).sum(), (part * places).sum()) for part in parts]
    return areas, np.array(sums) / np.maximum(areas, 1)[:, None]


def test_training_mirrors_turns_scales_and_shifts_as_the_paper_does():
    side, draws = 160, 500
    areas, centres = dots_of(lz.create_transform(CFG, image_size=side)(two_dots(side)).numpy() / 2 + 0.5)
    transform = lz.create_transform(CFG, training=True, image_size=side)
    mirrored, moves, still = [], [], 0
    for _ in range(draws):
        image = transform(two_dots(side)).numpy() / 2 + 0.5
        found, (left, right) = dots_of(image)
        down, across = right - left
        scale = np.hypot(down, across) / np.hypot(*(centres[1] - centres[0]))
        if found.min() == 0 or not np.allclose(np.sort(found), np.sort(areas) * scale**2, rtol=0.08):
            continue  # the hole hides a dot or a part of it
        shift = np.abs(left + right - centres.sum(axis=0)) / 2 / side
        mirrored.append(found[0] < found[1])
        moves.append((abs(np.degrees(np.arctan2(down, across))), scale, *shift))
        still += np.allclose(moves[-1], (0, 1, 0, 0), atol=(0.3, 0.01, 0.004, 0.004))
    assert len(moves) > draws / 2
    assert np.mean(mirrored) == pytest.approx(0.5, abs=0.1)
    assert 1 - still / len(moves) == pytest.approx(0.7, abs=0.1)
    angles, scales, down, across = np.transpose(moves)
    assert angles.max() == pytest.approx(10, abs=0.5)
    assert (scales.min(), scales.max()) == pytest.approx((0.8, 1.2), abs=0.03)
    assert (down.max(), across.max()) == pytest.approx((0.2, 0.2), abs=0.02)


def test_training_cuts_one_black_square_of_04_of_the_side_out_of_half_of_the_photos():
    transform = lz.create_transform(CFG, training=True, image_size=50)
    white = Image.new("RGB", (64, 64), (255, 255, 255))
    without, places = 0, []
    for _ in range(500):
        black = transform(white)[0].numpy() == -1  # 0 before normalising
        rows, columns = np.flatnonzero(black.any(1)), np.flatnonzero(black.any(0))
        without += len(rows) == 0
        if len(rows) == len(columns) == 20 and black.sum() == 400:  # and no border of a photo that was moved
            places.append((rows[0], columns[0]))
    assert len(places) / (len(places) + without) == pytest.approx(0.5, abs=0.12)
    assert len(set(places)) > len(places) / 2


def test_training_compresses_hardly_visibly():
    plain = lz.create_transform(CFG, image_size=96)(photo()).numpy()
    transform = lz.create_transform(CFG, training=True, image_size=96)
    differences = []
    for _ in range(200):
        image = transform(photo()).numpy()
        for view in (plain, plain[:, :, ::-1]):
            difference = np.abs(image - view) * 127.5
            if np.quantile(difference, 0.98) < 20:  # neither moved nor cut
                differences.append(difference.mean())
    assert len(differences) > 10
    assert 0 < max(differences) < 1.1  # of 255; quality 95 would change 1.3


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
    with pytest.raises(ValueError, match="resize must be one of squash"):
        lz.create_transform(lz.ModelCfg("DOLG", {}, resize="crop"))
