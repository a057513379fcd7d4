import math

import pytest
import torch
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.losses import CenterUsage


@pytest.fixture
def head():
    """Two classes in the plane: one with centers in the east and the north, one south and west."""
    head = lz.SubCenterArcFaceDynamic(2, 2, sub_centers=2)
    head.load_state_dict({"weight": torch.tensor([[2.0, 0], [0, 1], [0, -1], [-3, 0]])})
    return head


def towards(*degrees):
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float32))
    return torch.stack([angles.cos(), angles.sin()], dim=1) * 7


def test_outliers_are_far_from_every_center_of_their_class_farthest_first(head):
    x, y = towards(10, 200, 80, 45, 30, 225), torch.tensor([0, 0, 0, 0, 1, 1])
    found = head.outliers(x, y)  # the nearest own centers are 10, 110, 10, 45, 120 and 45 degrees away
    assert found.indices.tolist() == [4, 1]
    assert found.cosines.tolist() == pytest.approx([math.cos(math.radians(a)) for a in (120, 110)], abs=1e-6)
    assert head.outliers(x, y, angle=math.radians(44)).indices.tolist() == [4, 1, 3, 5]
    assert head.outliers(x, y, angle=math.radians(121)).indices.tolist() == []
    assert sorted(head.outliers(x, y, angle=0).indices.tolist()) == list(range(6))


def test_usage_counts_the_nearest_own_center(head):
    x, y = towards(10, 30, 80, 350, 190), torch.tensor([0, 0, 0, 0, 0])
    usage = head.center_usage(x, y)
    assert usage.counts.tolist() == [[3, 2], [0, 0]]
    torch.testing.assert_close(usage.shares, torch.tensor([[0.6, 0.4], [0.0, 0.0]]))
    assert usage.dominant.tolist() == [0, -1]


def test_usage_of_batches_adds_up(head):
    x, y = torch.randn(50, 2), torch.randint(2, (50,))
    one, other, whole = (
        head.center_usage(x[part], y[part]) for part in (slice(20), slice(20, 50), slice(50))
    )
    assert torch.equal((one + other).counts, whole.counts)
    assert torch.equal(sum([one, other]).counts, whole.counts)
    with pytest.raises(TypeError):
        1 + one
    assert CenterUsage(torch.tensor([[2, 5, 5]])).dominant.tolist() == [1]  # ties: the first


def test_blocks_change_nothing(head, monkeypatch):
    x, y = torch.randn(50, 2), torch.randint(2, (50,))
    whole = head.outliers(x, y, angle=1.0)
    monkeypatch.setattr("landmarkzoo.losses.arcface.head._BLOCK_VALUES", 28)
    for one, other in zip(whole, head.outliers(x, y, angle=1.0)):
        assert torch.equal(one, other)


def test_finds_wrong_labels_in_a_trained_head():
    torch.manual_seed(0)
    labels = torch.arange(600) % 12
    x = F.normalize(torch.randn(12, 32))[labels] * 4 + 0.5 * torch.randn(600, 32)
    noisy = labels.clone()
    wrong = torch.randperm(600)[:30]
    noisy[wrong] = (noisy[wrong] + 1 + torch.randint(11, (30,))) % 12
    head = lz.SubCenterArcFaceDynamic(32, 12, margins=0.2, sub_centers=3, scale=16.0)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(15):
        optimizer.zero_grad()
        head(x, noisy).backward()
        optimizer.step()
    found = set(head.outliers(x, noisy, angle=0).indices[:30].tolist())
    assert len(found & set(wrong.tolist())) >= 25


def test_dominant_center_lists_what_has_settled_at_another(head):
    x, y = towards(2, 4, 6, 86), torch.tensor([0, 0, 0, 0])  # three in the east, one in the north
    assert head.outliers(x, y).indices.tolist() == []
    found = head.outliers(x, y, reference="dominant")
    assert found.indices.tolist() == [3]
    assert found.cosines.tolist() == pytest.approx([math.cos(math.radians(86))], abs=1e-6)


def test_wrong_arguments(head):
    with pytest.raises(ValueError, match="reference must be one of"):
        head.outliers(towards(0), torch.tensor([0]), reference="all")
    with pytest.raises(ValueError, match="angle must be in radians"):
        head.outliers(towards(0), torch.tensor([0]), angle=75)
    with pytest.raises(ValueError, match="got 2 at row 0"):
        head.center_usage(towards(0), torch.tensor([2]))
