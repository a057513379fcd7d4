import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import landmarkzoo as lz
from landmarkzoo.losses import add_angular_margin


def test_golden_numbers():
    margins = lz.dynamic_margins([1, 4, 16, 256, 10000])
    np.testing.assert_allclose(margins, [0.5, 0.353553, 0.25, 0.125, 0.05], atol=5e-7)
    np.testing.assert_allclose(lz.dynamic_margins([2, 2, 5]), [0.5, 0.5, 0.05])
    assert margins.dtype == np.float64


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=30), st.floats(0, 0.2), st.floats(0.2, 1))
def test_margins_stay_in_range_and_fall_with_the_count(counts, low, high):
    margins = lz.dynamic_margins(counts, low, high)
    assert margins.shape == (len(counts),)
    assert margins.min() >= low - 1e-12
    assert margins.max() <= high + 1e-12
    rarest_first = np.argsort(counts, kind="stable")
    assert (np.diff(margins[rarest_first]) <= 1e-12).all()
    if len(set(counts)) > 1:
        assert margins[rarest_first[0]] == pytest.approx(high)
        assert margins[rarest_first[-1]] == pytest.approx(low)


def test_equal_counts_get_the_middle():
    np.testing.assert_allclose(lz.dynamic_margins([7, 7, 7]), 0.275)
    np.testing.assert_allclose(lz.dynamic_margins(torch.tensor([3.0])), 0.275)


@pytest.mark.parametrize("zero", [0, -1, float("nan"), float("inf")])
def test_a_class_without_images_is_named(zero):
    with pytest.raises(ValueError, match="class 2 has no image"):
        lz.dynamic_margins([5, 1, zero])
    with pytest.raises(ValueError, match="class 0 and 1 more has no image"):
        lz.dynamic_margins(np.array([zero, 1, zero]))


def test_wrong_arguments():
    with pytest.raises(TypeError, match="must be numbers"):
        lz.dynamic_margins(["many", "few"])
    with pytest.raises(ValueError, match="one number a class, got \\(2, 1\\)"):
        lz.dynamic_margins([[1], [2]])
    with pytest.raises(ValueError, match="radians"):
        lz.dynamic_margins([1, 2], low=0.5, high=0.05)


def test_threshold_where_the_angle_would_pass_pi():
    value, slope = add_angular_margin(torch.tensor([-0.9]), torch.tensor([0.5]))
    assert value.item() == pytest.approx(-1.1397128, abs=1e-6)
    assert slope.item() == 1


@given(st.floats(-1, 1), st.floats(0, 1.5))
def test_value_is_that_of_the_angles_and_slope_its_derivative(cosine, margin):
    c = torch.tensor([cosine], dtype=torch.float64)
    m = torch.tensor([margin], dtype=torch.float64)
    value, slope = add_angular_margin(c, m)
    angle = math.acos(cosine)
    if angle + margin < math.pi - 1e-6:
        assert value.item() == pytest.approx(math.cos(angle + margin), abs=1e-9)
    if abs(cosine) < 0.99 and abs(angle + margin - math.pi) > 1e-3:
        step = 1e-6
        up, down = add_angular_margin(c + step, m)[0], add_angular_margin(c - step, m)[0]
        assert slope.item() == pytest.approx(((up - down) / (2 * step)).item(), abs=1e-5)
    assert torch.isfinite(slope).all()


@pytest.mark.parametrize("gap", [1e-2, 1e-3, 1e-4, 1e-5, 1e-6])
@pytest.mark.parametrize("sign", [1, -1])
def test_slope_near_the_ends_is_that_of_the_formula(gap, sign):
    cosine = torch.tensor([sign * (1 - gap)], dtype=torch.float64)
    margin = torch.tensor([0.05], dtype=torch.float64)
    _, slope = add_angular_margin(cosine, margin)
    angle = math.acos(cosine.item())
    beyond = angle + 0.05 >= math.pi
    expected = 1.0 if beyond else math.sin(angle + 0.05) / math.sin(angle)
    assert slope.item() == pytest.approx(expected, rel=1e-9)
    single = add_angular_margin(cosine.float(), margin.float())[1].item()
    # in float32 the distance from 1 itself is known to 6e-8
    assert single == pytest.approx(expected, rel=1e-3 + 6e-8 / gap)


@pytest.mark.parametrize("cosine", [1.0, -1.0, 1.0000002, -1.0000002])
def test_clamped_where_the_sine_has_no_slope(cosine):
    value, slope = add_angular_margin(torch.tensor([cosine]), torch.tensor([0.3]))
    assert torch.isfinite(slope).all()
    assert value.item() == pytest.approx(math.cos(0.3) if cosine > 0 else -1 - math.sin(0.3) * 0.3)
