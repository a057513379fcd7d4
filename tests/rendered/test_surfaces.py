"""What a pixel of a rendered photo shows: textures, shadows, water, plants, and what the lens does."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from landmarkzoo.rendered.camera import look_at
from landmarkzoo.rendered.grounds import draw_ground_plan
from landmarkzoo.rendered.lens import develop
from landmarkzoo.rendered.light import Light
from landmarkzoo.rendered.photographs import View, draw_ground
from landmarkzoo.rendered.plant_shapes import PLANTS, VARIANTS, plant
from landmarkzoo.rendered.plants import LEAVES, draw_plant
from landmarkzoo.rendered.rendering import make_mesh
from landmarkzoo.rendered.solids import block
from landmarkzoo.rendered.surfaces import hit, rays, see_faces, see_from_sun, shade
from landmarkzoo.rendered.surroundings import make_subject
from landmarkzoo.rendered.textures import KINDS, LEVELS, SIDE, TEXELS, draw_texture, look_up, number_of

GREY = (0.5, 0.5, 0.5)
NOON = Light((0.0, 0.0, 1.0), (0.9, 0.8, 0.7), (0.3, 0.3, 0.3), GREY, GREY, 1e6, 0.0)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_textures_repeat_without_a_seam_and_keep_their_mean_when_coarse(kind: str) -> None:
    texels = draw_texture(kind, 0).astype(float)
    assert texels.shape == (TEXELS, 5)
    np.testing.assert_array_equal(draw_texture(kind, 0), texels)
    assert not np.array_equal(draw_texture(kind, 1), texels)
    finest = texels[: SIDE**2, :3].reshape(SIDE, SIDE, 3)
    inside = np.abs(np.diff(finest, axis=1)).mean()
    seam = np.abs(finest[:, 0] - finest[:, -1]).mean()
    assert seam < 4 * inside + 8
    coarsest = texels[-((SIDE >> (LEVELS - 1)) ** 2) :]
    np.testing.assert_allclose(coarsest.mean(axis=0), texels[: SIDE**2].mean(axis=0), atol=2.5)


def test_textures_are_read_where_they_lie() -> None:
    number = number_of("brick", 2)
    texels = draw_texture("brick", 2)
    where = np.array([3.0, 3.0 + SIDE, 3.0 - SIDE], dtype=np.float32)
    up = np.full(3, 7.5, dtype=np.float32)
    near = np.ones(3, dtype=np.float32)
    factors, across, rise = look_up(np.full(3, number, dtype=np.int32), where, up, near)
    np.testing.assert_allclose(factors, np.repeat(texels[7 * SIDE + 3][None, :3] / 100, 3, axis=0), rtol=1e-6)
    assert (np.ptp(across), np.ptp(rise)) == (0, 0)
    far, _, _ = look_up(np.full(3, number, dtype=np.int32), where, up, 64 * near)
    np.testing.assert_allclose(far[0], texels[-16][:3] / 100, rtol=1e-6)


def test_lines_of_sight_meet_what_the_camera_projects() -> None:
    camera = look_at((3, -30, 6), (0, 0, 5), roll=0.2, focal=90, width=80, height=60)
    mesh = make_mesh([block(0, 0, 0, (8, 6, 10), GREY), block(9, 2, 0, (5, 5, 4), GREY)])
    faces = see_faces(mesh, camera)
    assert set(np.unique(faces)) > {0}
    rows, columns = np.nonzero(faces)
    lines = rays(camera)[rows, columns]
    hits = hit(mesh, np.array(camera.position, dtype=np.float32), lines, faces[rows, columns] - 1)
    pixels, depth = camera.project(hits.point.astype(float))
    np.testing.assert_allclose(pixels, np.stack([columns, rows], axis=1) + 0.5, atol=1e-2)
    np.testing.assert_allclose(depth, hits.depth, rtol=1e-4)
    on_a_box = (hits.point[:, 2] > -0.3) & (hits.point[:, 2] < 10.3)
    assert on_a_box.mean() > 0.97  # edges of polygons are half a pixel wide


def test_shadows_lie_opposite_the_sun_and_nowhere_else() -> None:
    mesh = make_mesh([block(0, 0, 0, (4, 4, 8), GREY)])
    sun = see_from_sun(mesh, (0.6, 0.0, 0.8))  # from the right: the shadow reaches 6 m to the left
    ground = np.array([(-5, 0, 0), (-7.2, 0, 0), (-9, 0, 0), (5, 0, 0), (-5, 3, 0)], dtype=np.float32)
    assert sun.lights(ground).tolist() == [False, False, True, True, True]
    wall = np.array([(2, 0, 4), (0, 0, 8), (-2, 0, 4)], dtype=np.float32)
    assert sun.lights(wall).tolist() == [True, True, False]


def test_what_faces_the_sun_is_brighter() -> None:
    mesh = make_mesh([block(0, 0, 0, (8, 8, 8), GREY)])
    camera = look_at((20, -30, 20), (0, 0, 4), focal=120, width=90, height=90)
    faces = see_faces(mesh, camera)
    lines = rays(camera)[faces > 0]
    hits = hit(mesh, np.array(camera.position, dtype=np.float32), lines, faces[faces > 0] - 1)
    colors = shade(mesh, hits, NOON, see_from_sun(mesh, NOON.sun), camera.focal, lines)
    top = mesh.normals[hits.face][:, 2] > 0.9
    assert colors[top].mean() > 1.8 * colors[~top].mean()


def test_the_plan_of_the_ground() -> None:
    lower, upper = np.array([-10.0, -5, 0]), np.array([10.0, 5, 12])
    dry = [draw_ground_plan(np.random.default_rng(seed), lower, upper, wet=False) for seed in range(30)]
    pools = [bool(ground.water[np.unique(ground.plan)].any()) for ground in dry]
    assert 0 < sum(pools) < 20
    wet = draw_ground_plan(np.random.default_rng(0), lower, upper, wet=True)
    spots = np.array([(0, -20, 0), (1e4, 0, 0)], dtype=np.float32)
    assert wet.water[wet.soil(spots)].tolist() == [True, False]


def test_water_mirrors_what_stands_in_it() -> None:
    tower = [block(0, 0, 0, (4, 4, 10), (0.9, 0.1, 0.1))]
    camera = look_at((0, -40, 5), (0, 0, 5), focal=160, width=80, height=80)  # level: the horizon is row 40
    reds = []
    for wet in (True, False):
        subject = make_subject(tower, np.random.default_rng(1), wet=wet)
        mesh, canvas = subject.mesh, np.full((80, 80, 3), 0.4, dtype=np.float32)
        view = View(camera, rays(camera), np.random.default_rng(0))
        sun = see_from_sun(mesh, NOON.sun)
        draw_ground(subject, view, NOON, sun, canvas, see_faces(mesh, camera) == 0)
        reds.append(canvas[..., 0] > 1.3 * canvas[..., 1])
    # The tower stands on row 61 and is 42 rows high: so is what hangs under it, as far as the picture goes.
    assert reds[0][65:79, 36:44].mean() > 0.9
    assert reds[0][65:79, :28].mean() == 0
    assert reds[1][65:79].mean() < 0.1


@pytest.mark.parametrize("kind", sorted(PLANTS))
def test_plants_have_leaves_or_wood_and_stand_on_the_ground(kind: str) -> None:
    opacity = plant(kind, 1)[..., 2]
    assert 0.01 < (opacity > 128).mean() < 0.7
    assert (opacity[-8:] > 128).any()
    assert not np.array_equal(plant(kind, 0), plant(kind, 1))


def test_a_plant_is_drawn_where_it_stands_also_half_out_of_the_picture() -> None:
    whole, half = Image.new("RGB", (80, 60)), Image.new("RGB", (80, 60))
    draw_plant(whole, NOON, "broadleaf", 0, (40, 55), 50, 10, LEAVES[0])
    draw_plant(half, NOON, "broadleaf", 0, (0, 55), 50, 10, LEAVES[0])
    np.testing.assert_array_equal(np.asarray(half)[:, :25], np.asarray(whole)[:, 40:65])
    assert np.asarray(half)[:, 25:].max() == 0
    draw_plant(whole, NOON, "broadleaf", VARIANTS, (400, 55), 50, 10, LEAVES[0])  # out of the picture


def test_an_unknown_plant() -> None:
    with pytest.raises(ValueError, match=r"kind must be one of .*, got 'triffid'"):
        plant("triffid", 0)


def test_a_lens_changes_what_it_sees_but_not_the_size() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
    photos = [develop(picture, (40, 30), np.random.default_rng(seed)) for seed in range(20)]
    assert {(photo.size, photo.mode) for photo in photos} == {((40, 30), "RGB")}
    assert len({photo.tobytes() for photo in photos}) == 20
