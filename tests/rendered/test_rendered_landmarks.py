"""The rendered landmarks: determinism, labels, splits, and the renderer's geometry."""

from __future__ import annotations

import hashlib
import pickle
import random
import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from landmarkzoo.rendered import RenderedLandmarks
from landmarkzoo.rendered.buildings import FAMILIES, draw_names, make_building
from landmarkzoo.rendered.camera import Camera, look_at
from landmarkzoo.rendered.light import draw_light
from landmarkzoo.rendered.photographs import photograph
from landmarkzoo.rendered.plant_shapes import PLANTS
from landmarkzoo.rendered.props import PROPS, Prop, draw_prop
from landmarkzoo.rendered.rendering import make_mesh, painters_order
from landmarkzoo.rendered.solids import archway, block, dome_profile, gable, lathe
from landmarkzoo.rendered.surroundings import make_subject

GREY = (0.5, 0.5, 0.5)


@pytest.fixture(scope="module")
def photos() -> RenderedLandmarks:
    """A small set."""
    return RenderedLandmarks(landmarks=12, views=4, distractors=6, image_size=96, seed=3)


def digest(photos: RenderedLandmarks, indices: list[int]) -> str:
    """Return a hash of the pixels of some photos."""
    state = hashlib.sha256()
    for index in indices:
        state.update(photos.photo(index).tobytes())
    return state.hexdigest()


def test_same_pixels_in_another_process(photos: RenderedLandmarks) -> None:
    program = (
        "import hashlib\n"
        "from landmarkzoo.rendered import RenderedLandmarks\n"
        "photos = RenderedLandmarks(12, 4, 6, image_size=96, seed=3)\n"
        "state = hashlib.sha256()\n"
        "for index in (53, 2, 17):\n"
        "    state.update(photos.photo(index).tobytes())\n"
        "print(state.hexdigest())\n"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == digest(photos, [53, 2, 17])


def test_same_pixels_in_any_order(photos: RenderedLandmarks) -> None:
    forwards = [photos.photo(index).tobytes() for index in (0, 5, 50)]
    again = RenderedLandmarks(landmarks=12, views=4, distractors=6, image_size=96, seed=3)
    backwards = [again.photo(index).tobytes() for index in (50, 5, 0)]
    assert forwards == backwards[::-1]


def test_a_landmark_does_not_depend_on_how_many_others_there_are(
    photos: RenderedLandmarks,
) -> None:
    fewer = RenderedLandmarks(landmarks=2, views=4, distractors=1, image_size=96, seed=3)
    assert fewer.photo(5).tobytes() == photos.photo(5).tobytes()
    assert fewer.photo(8).tobytes() == photos.photo(48).tobytes()


def test_global_random_state_is_neither_used_nor_changed(photos: RenderedLandmarks) -> None:
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global state is what is tested.
    torch.manual_seed(1)
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    first = digest(photos, [1, 49])
    after = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    assert before[0] == after[0]
    np.testing.assert_equal(after[1], before[1])
    assert torch.equal(before[2], after[2])
    random.seed(2)
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(2)
    assert digest(photos, [1, 49]) == first


def test_other_seeds_give_other_landmarks(photos: RenderedLandmarks) -> None:
    other = RenderedLandmarks(landmarks=12, views=4, distractors=6, image_size=96, seed=4)
    assert other.classes != photos.classes
    assert all(other.photo(i).tobytes() != photos.photo(i).tobytes() for i in (0, 20, 50))


def test_ids_labels_and_names_agree(photos: RenderedLandmarks) -> None:
    assert len(photos) == len(photos.ids) == len(photos.targets) == len(photos.split) == 54
    assert len(set(photos.ids)) == 54
    assert len(set(photos.classes)) == 12
    assert photos.targets.dtype == np.int64
    for name, label, split in zip(photos.ids, photos.targets, photos.split, strict=True):
        place, _ = name.split("/")
        assert place == ("no_landmark" if label < 0 else f"building_{label:02d}")
        assert (split == "non_landmark") == (label < 0)
    assert photos.ids[5] == "building_01/view_01"
    assert photos.ids[-1] == "no_landmark/005"


@pytest.mark.parametrize(("views", "train", "index", "query"), [(4, 2, 1, 1), (7, 5, 1, 1), (12, 6, 3, 3)])
def test_every_landmark_is_split_alike(views: int, train: int, index: int, query: int) -> None:
    photos = RenderedLandmarks(landmarks=5, views=views, distractors=0)
    for label in range(5):
        own = np.flatnonzero(photos.targets == label)
        counts = Counter(photos.split[item] for item in own)
        assert counts == {"train": train, "index": index, "query": query}
    assert photos.split == RenderedLandmarks(landmarks=5, views=views, distractors=0).split


def test_photos_have_the_asked_size_and_something_to_see() -> None:
    photos = RenderedLandmarks(landmarks=12, views=4, distractors=4, image_size=80)
    shapes = set()
    for index in range(len(photos)):
        photo = photos.photo(index)
        assert photo.mode == "RGB"
        assert max(photo.size) == 80
        shapes.add(np.sign(photo.width - photo.height))
        assert np.asarray(photo).std() > 8, photos.ids[index]
    assert shapes == {-1, 0, 1}


def test_views_of_a_landmark_and_distractors_all_differ(photos: RenderedLandmarks) -> None:
    pixels = {photos.photo(index).tobytes() for index in [*range(4), *range(48, 54)]}
    assert len(pixels) == 10


def test_pickled_and_loaded_by_workers(photos: RenderedLandmarks) -> None:
    copy = pickle.loads(pickle.dumps(photos))
    assert digest(copy, [7]) == digest(photos, [7])
    loader: DataLoader[tuple[Image.Image, int]] = DataLoader(
        torch.utils.data.Subset(photos, [0, 30]), num_workers=1, collate_fn=list
    )
    loaded = [batch[0][0].tobytes() for batch in loader]
    assert loaded == [photos.photo(0).tobytes(), photos.photo(30).tobytes()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"landmarks": 0}, "landmarks must be a whole number of at least 1, got 0"),
        ({"views": 3}, "views must be a whole number of at least 4, got 3"),
        ({"distractors": -1}, "distractors must be a whole number of at least 0, got -1"),
        ({"image_size": 8}, "image_size must be a whole number of at least 32, got 8"),
        ({"seed": -5}, "seed must be a whole number of at least 0, got -5"),
        ({"views": 4.5}, r"views must be a whole number of at least 4, got 4\.5"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RenderedLandmarks(**arguments)


def test_indices_count_from_both_ends(photos: RenderedLandmarks) -> None:
    assert photos.photo(-1).tobytes() == photos.photo(53).tobytes()
    with pytest.raises(IndexError, match="there is no photo 54, the data set has 54"):
        photos[54]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_renders(family: str) -> None:
    kind = FAMILIES[family]
    for seed in range(2):
        solids = make_building(family, [seed])
        subject = make_subject(solids, np.random.default_rng(seed), kind.finishes, wet=kind.wet)
        assert np.isfinite(subject.mesh.points).all()
        assert subject.lower[2] == pytest.approx(0)
        photo = photograph(subject, np.random.default_rng(seed), 64)
        assert max(photo.size) == 64


def test_a_tower_whose_steps_sum_up_to_more_than_its_height() -> None:
    solids = make_building("lattice_tower", [7, 2, 685])  # by the last digit
    assert all(np.isfinite(face.points).all() for solid in solids for face in solid.faces)


def test_unknown_family() -> None:
    with pytest.raises(ValueError, match=r"family must be one of .*, got 'igloo'"):
        make_building("igloo", [0])


def test_names_are_unique() -> None:
    names = draw_names([0], list(FAMILIES) * 40)
    assert len(set(names)) == len(names)
    assert names == draw_names([0], list(FAMILIES) * 40)


def test_projection_of_a_camera_that_looks_straight_ahead() -> None:
    camera = Camera((1.0, -10.0, 2.0), yaw=0, pitch=0, roll=0, focal=100, width=200, height=100)
    pixels, depth = camera.project(np.array([[1.0, 0, 2], [3, 0, 2], [1, 10, 6], [-1, -5, 1]]))
    np.testing.assert_allclose(depth, [10, 10, 20, 5])
    np.testing.assert_allclose(pixels, [[100, 50], [120, 50], [100, 30], [60, 70]])


def test_projection_of_a_turned_and_rolled_camera() -> None:
    # Looking along +x: -y is to the right. Rolled clockwise by a quarter turn, right goes up.
    camera = Camera((0.0, 0, 0), yaw=np.pi / 2, pitch=0, roll=np.pi / 2, focal=50, width=100, height=100)
    pixels, depth = camera.project(np.array([[5.0, -1, 0], [5, 0, 2]]))
    np.testing.assert_allclose(depth, [5, 5])
    np.testing.assert_allclose(pixels, [[50, 40], [30, 50]], atol=1e-9)


def test_look_at_centers_its_target() -> None:
    camera = look_at((3, -20, 5), (1, 2, 9), roll=0.3, focal=80, width=120, height=90)
    pixels, depth = camera.project(np.array([[1.0, 2, 9]]))
    np.testing.assert_allclose(pixels, [[60, 45]], atol=1e-9)
    assert depth[0] == pytest.approx(np.sqrt(4 + 484 + 16))
    with pytest.raises(ValueError, match="target must differ"):
        look_at((0, 0, 0), (0, 0, 0), focal=1, width=1, height=1)


def test_level_horizon() -> None:
    camera = look_at((0, -10, 3), (0, 0, 3), focal=50, width=100, height=80)
    np.testing.assert_allclose(camera.horizon()[:, 1], 40, atol=1e-2)


def test_normals_point_outwards() -> None:
    center = np.array([2.0, 3, 6])
    solids = [
        block(2, 3, 5, (4, 4, 2), GREY),
        block(2, 3, 5, (4, 4, 2), GREY, top=(0, 0)),
        gable(2, 3, 5, (4, 6, 3), GREY, GREY),
        gable(2, 3, 5, (4, 6, 3), GREY, GREY, ridge="x"),
        *lathe(2, 3, 5, [(2, 0), (1, 2)], [GREY]),
        *lathe(2, 3, 5.5, dome_profile(3, 2, 1), [GREY]),
    ]
    for solid in solids:
        mesh = make_mesh([solid])
        anchors = mesh.points[mesh.starts[:-1]]
        solid_faces = np.abs(mesh.normals).sum(axis=1) > 0
        outwards = (mesh.normals * (anchors - center)).sum(axis=1)
        assert (outwards[solid_faces] > 0).all()


def test_an_arch_is_open_below_and_closed_above() -> None:
    mesh = make_mesh(archway((-3, 3), (-1, 1), (4, 8), GREY))
    assert mesh.lower[:, 2].min() == pytest.approx(4)
    assert mesh.upper[:, 2].min() == pytest.approx(8)
    assert mesh.points[:, 2].max() == pytest.approx(8)


def test_painters_order_draws_what_is_behind_first() -> None:
    # A long wall behind a small box: the center of the wall is nearer to the eye.
    lower = np.array([[-100.0, 2, 0], [40, 0, 0], [40, 0, 3]])
    upper = np.array([[100.0, 3, 5], [42, 2, 3], [42, 2, 6]])
    order = painters_order(lower, upper, np.array([0.0, -20, 2]))
    assert order[0] == 0
    order = painters_order(lower, upper, np.array([0.0, 30, 2]))
    assert order[-1] == 0
    order = painters_order(lower[1:], upper[1:], np.array([0.0, -20, 20]))
    assert order == [0, 1]


def test_painters_order_survives_boxes_that_overlap() -> None:
    lower, upper = np.zeros((3, 3)), np.ones((3, 3))
    assert sorted(painters_order(lower, upper, np.array([0.5, -5, 0.5]))) == [0, 1, 2]


def test_a_mesh_needs_solids() -> None:
    with pytest.raises(ValueError, match="at least one solid"):
        make_mesh([])


@pytest.mark.parametrize("kind", sorted([*PROPS, *PLANTS]))
def test_every_prop_draws(kind: str) -> None:
    camera = look_at((0, -10, 2), (0, 0, 2), focal=60, width=80, height=80)
    picture = Image.new("RGB", (80, 80), (255, 0, 255))
    light = draw_light(np.random.default_rng(0))
    draw_prop(picture, camera, light, Prop(kind, 0.5, 12.0, 1.0, 5))
    colors = picture.getcolors(6400)
    assert colors is not None
    assert len(colors) >= 2


def test_unknown_prop() -> None:
    camera = look_at((0, -10, 2), (0, 0, 2), focal=60, width=80, height=80)
    light = draw_light(np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"kind must be one of .*, got 'yeti'"):
        draw_prop(Image.new("RGB", (80, 80)), camera, light, Prop("yeti", 0, 5, 1, 0))
