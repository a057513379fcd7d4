"""ICC profiles: colors as they are meant, against a computation with NumPy alone."""

import io
from concurrent.futures import ThreadPoolExecutor

import icc_profiles as icc
import numpy as np
import pytest
from PIL import Image, ImageCms, features

import landmarkzoo as lz
from landmarkzoo.photos import open_photo, to_rgb
from landmarkzoo.photos.color_profiles import _to_srgb

needs_littlecms = pytest.mark.skipif(not features.check("littlecms2"), reason="Pillow is without LittleCMS")
SPACES = {
    "Display P3": (icc.DISPLAY_P3, icc.SRGB_CURVE),
    "Adobe RGB": (icc.ADOBE_RGB, 2.19921875),
    "ProPhoto": (icc.PROPHOTO, 1.80078125),
}
COLORS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def reread(image, form, profile, **options):
    """An image after a trip through a file with a profile."""
    buffer = io.BytesIO()
    image.save(buffer, form, icc_profile=profile, **options)
    return open_photo(buffer)


def difference(image, expected):
    return np.abs(np.asarray(image).astype(float) - expected).max()


@needs_littlecms
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("space", SPACES)
def test_wide_spaces_become_srgb(space, form):
    primaries, gamma = SPACES[space]
    profile = icc.rgb_profile(primaries, gamma)
    options = {"lossless": True} if form == "WEBP" else {}
    read = reread(Image.fromarray(COLORS), form, profile, **options)
    expected = icc.srgb_of(COLORS, primaries, gamma)
    assert difference(read, expected) <= 2
    assert difference(COLORS, expected) > 20  # what ignoring the profile would be off
    assert "icc_profile" not in read.info
    assert np.array_equal(np.asarray(to_rgb(read)), np.asarray(read))  # converted once, not twice


@needs_littlecms
def test_the_same_photo_in_each_space_is_the_same_photo():
    smooth = Image.fromarray(COLORS[:6, :8]).resize((80, 60), Image.Resampling.BICUBIC)
    pixels = np.asarray(smooth)
    for primaries, gamma in ((icc.ADOBE_RGB, 2.19921875), (icc.PROPHOTO, 1.80078125)):
        wide = Image.fromarray(icc.in_space(pixels, primaries, gamma))
        read = reread(wide, "JPEG", icc.rgb_profile(primaries, gamma), quality=100, subsampling=0)
        error = np.abs(np.asarray(read).astype(float) - pixels)
        assert np.quantile(error, 0.99) <= 10  # what JPEG and 8 bits cost
        ignored = np.abs(np.asarray(wide).astype(float) - pixels)
        assert ignored.mean() > 4 * error.mean()


@needs_littlecms
def test_gray_profiles():
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    read = reread(ramp, "PNG", icc.gray_profile(1.0))
    expected = icc.srgb_of_linear(np.arange(256) / 255).reshape(16, 16, 1)
    assert difference(read, expected) <= 1
    deep = Image.fromarray(np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16))
    assert difference(reread(deep, "PNG", icc.gray_profile(1.0)), expected) <= 2  # 16 bits
    clear = Image.merge("LA", [ramp, Image.new("L", ramp.size, 255)])
    assert difference(reread(clear, "PNG", icc.gray_profile(1.0)), expected) <= 1


@needs_littlecms
def test_cmyk_goes_straight_to_srgb():
    steps = np.linspace(0, 255, 5).round().astype(np.uint8)
    inks = np.stack(np.meshgrid(steps, steps, steps, steps), axis=-1).reshape(25, 25, 4)
    image = Image.merge("CMYK", [Image.fromarray(inks[..., ink].copy()) for ink in range(4)])
    expected = icc.srgb_of_linear(icc.press_reflectance(inks / 255))
    read = reread(image, "TIFF", icc.press_profile())
    error = np.abs(np.asarray(read) - expected)
    assert np.quantile(error, 0.95) < 8  # the table has 8 bits, few for dark colors
    assert error.mean() < 3
    assert np.abs(np.asarray(image.convert("RGB")) - expected).mean() > 5 * error.mean()
    paper = reread(Image.new("CMYK", (8, 8)), "TIFF", icc.press_profile())
    assert paper.getpixel((4, 4)) == (255, 255, 255)
    large = image.resize((200, 200), Image.Resampling.NEAREST)
    saved = reread(large, "JPEG", icc.press_profile(), quality=95).resize((25, 25), Image.Resampling.BOX)
    assert np.abs(np.asarray(saved) - expected).mean() < 6


@needs_littlecms
def test_transparency_and_palettes_keep_their_colors():
    primaries, gamma = SPACES["Display P3"]
    profile = icc.rgb_profile(primaries, gamma)
    image = Image.fromarray(COLORS).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 10, 40))
    read = np.asarray(reread(image, "PNG", profile))
    assert (read[:, :10] == 255).all()
    assert difference(read[:, 10:], icc.srgb_of(COLORS[:, 10:], primaries, gamma)) <= 2
    palette = Image.fromarray(COLORS).quantize(32)
    shown = np.asarray(palette.convert("RGB"))
    assert difference(reread(palette, "PNG", profile), icc.srgb_of(shown, primaries, gamma)) <= 2


@needs_littlecms
def test_colors_are_converted_before_or_after_turning_alike():
    profile = icc.rgb_profile(*SPACES["Display P3"])
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = reread(Image.fromarray(COLORS), "PNG", profile, exif=exif)
    assert np.array_equal(np.asarray(turned), np.rot90(reread(Image.fromarray(COLORS), "PNG", profile), -1))


def broken_profiles():
    good = icc.rgb_profile(*SPACES["Display P3"])
    return {
        "empty": b"",
        "words": b"no profile at all",
        "cut": good[:150],
        "head only": good[:128],
        "zeros": bytes(600),
        "offsets": good[:132] + b"\xff" * 80 + good[212:],
        "no primaries": icc.profile("mntr", "RGB ", {"wtpt": icc.xyz(icc.D50)}),
        "of CMYK": icc.press_profile(),
        "of gray": icc.gray_profile(1.0),
        "of XYZ": icc.profile("mntr", "XYZ ", {"wtpt": icc.xyz(icc.D50)}),
        "device link": icc.profile("link", "RGB ", {"wtpt": icc.xyz(icc.D50)}),
    }


@pytest.mark.parametrize("kind", broken_profiles())
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_profile_that_does_not_fit_is_as_if_it_were_not_there(kind, form):
    image = Image.fromarray(COLORS)
    read = reread(image, form, broken_profiles()[kind])
    assert np.array_equal(np.asarray(read), np.asarray(reread(image, form, None)))


def test_a_gray_photo_with_a_profile_of_colors_stays_as_it_is():
    gray = Image.fromarray(COLORS[:, :, 0])
    profile = icc.rgb_profile(*SPACES["ProPhoto"])
    assert difference(reread(gray, "JPEG", profile), np.asarray(reread(gray, "JPEG", None))) == 0


@needs_littlecms
def test_srgb_profiles_of_any_maker_change_nothing():
    pillows = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (pillows, icc.rgb_profile(icc.SRGB, icc.SRGB_CURVE)):
        assert np.array_equal(np.asarray(reread(Image.fromarray(COLORS), "PNG", profile)), COLORS)
        assert _to_srgb(profile, "RGB") is None  # so nothing is computed


@needs_littlecms
def test_threads_share_the_transforms():
    """More profiles than the cache holds, in more threads than one, each against its answer alone."""
    gammas = [1 + number / 256 for number in range(80)]
    image = Image.fromarray(np.tile(COLORS, (4, 4, 1)))

    def content(gamma):
        buffer = io.BytesIO()
        image.save(buffer, "PNG", icc_profile=icc.rgb_profile(icc.ADOBE_RGB, gamma), compress_level=1)
        return buffer.getvalue()

    files = [content(gamma) for gamma in gammas]
    alone = [open_photo(file).tobytes() for file in files]
    order = np.random.default_rng(0).permutation(len(files) * 4) % len(files)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda row: open_photo(files[row]).tobytes(), order.tolist()))
    assert all(pixels == alone[row] for row, pixels in zip(order, together, strict=True))
    same = [icc.rgb_profile(icc.ADOBE_RGB, 2.2)] * 64  # and one transform in all of them at once
    expected = reread(image, "PNG", same[0]).tobytes()
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda profile: reread(image, "PNG", profile).tobytes(), same)) == {expected}


def test_pillow_without_littlecms_reads_on(monkeypatch):
    def missing(*_):
        raise ImportError("The _imagingcms C module is not installed")

    monkeypatch.setattr(ImageCms, "ImageCmsProfile", missing)
    _to_srgb.cache_clear()
    read = reread(Image.fromarray(COLORS), "PNG", icc.rgb_profile(*SPACES["Adobe RGB"]))
    _to_srgb.cache_clear()
    assert np.array_equal(np.asarray(read), COLORS)


@needs_littlecms
def test_images_in_memory_and_of_data_sets_are_converted_too(tmp_path):
    primaries, gamma = SPACES["Adobe RGB"]
    path = tmp_path / "dome" / "1.png"
    path.parent.mkdir()
    Image.fromarray(COLORS).save(path, icc_profile=icc.rgb_profile(primaries, gamma))
    expected = np.asarray(open_photo(path))
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(lz.photos.photo_source(image).load(0)), expected)
        assert "icc_profile" in image.info  # the user's image is as it was
    assert np.array_equal(np.asarray(lz.datasets.ImageFolder(tmp_path).photo(0)), expected)
