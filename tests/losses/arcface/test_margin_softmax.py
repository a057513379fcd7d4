"""A step on some of the classes, and how they are drawn."""

import pytest
import torch
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.losses.arcface.margin_softmax import rows_among, sample_classes


def pair(rate, classes=40, **options):
    dense = lz.SubCenterArcFaceDynamic(8, classes, margins=0.3, **options)
    sampled = lz.SubCenterArcFaceDynamic(8, classes, margins=0.3, sample_rate=rate, **options)
    sampled.load_state_dict(dense.state_dict())
    return dense, sampled


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1, "class_weights": torch.rand(40)}])
def test_at_rate_1_loss_and_gradients_are_those_of_all_classes(options):
    dense, sampled = pair(1.0, **options)
    x, y = torch.randn(6, 8, requires_grad=True), torch.randint(40, (6,))
    one, other = dense(x, y), sampled(x, y)
    torch.testing.assert_close(one, other)
    (by_x, by_weight), (sparse_x, sparse) = (
        torch.autograd.grad(loss, [x, head.weight]) for loss, head in ((one, dense), (other, sampled))
    )
    assert sparse.is_sparse
    torch.testing.assert_close(by_x, sparse_x)
    torch.testing.assert_close(by_weight, sparse.to_dense())


def test_a_step_touches_the_classes_of_the_batch_and_a_share_of_the_others():
    _, head = pair(0.25, classes=400)
    x, y = torch.randn(6, 8), torch.tensor([3, 3, 77, 399, 0, 12])
    head(x, y).backward()
    rows = head.weight.grad.coalesce().indices()[0]
    classes = (rows // 3).unique()
    assert len(classes) == 100
    assert set(y.tolist()) <= set(classes.tolist())
    assert torch.equal(rows, (classes[:, None] * 3 + torch.arange(3)).flatten())


def test_the_loss_is_that_of_a_head_with_the_sampled_classes_only(monkeypatch):
    _, head = pair(0.5)
    chosen = torch.tensor([1, 4, 7, 20, 33])
    monkeypatch.setattr("landmarkzoo.losses.arcface.head.sample_classes", lambda *arguments: chosen)
    small = lz.SubCenterArcFaceDynamic(8, 5, margins=0.3)
    small.load_state_dict({"weight": head.weight.detach().view(40, 3, 8)[chosen].flatten(0, 1)})
    x = torch.randn(3, 8)
    torch.testing.assert_close(head(x, torch.tensor([4, 33, 1])), small(x, torch.tensor([1, 4, 0])))


def test_negatives_are_drawn_alike():
    times = torch.zeros(50)
    for _ in range(2000):
        classes = sample_classes(torch.tensor([7, 7, -1]), 50, 0.2)
        assert len(classes) == 10
        assert torch.equal(classes, classes.unique())
        times[classes] += 1
    assert times[7] == 2000
    others = torch.cat([times[:7], times[8:]])
    assert (others - 2000 * 9 / 49).abs().max() < 5 * (2000 * 9 / 49) ** 0.5


def test_room_for_every_class_of_a_batch():
    rows = torch.arange(30)
    classes = sample_classes(rows, 1000, 0.001)
    assert torch.equal(classes, rows)
    assert torch.equal(rows_among(classes, rows), rows)


def test_validation_sees_all_classes():
    dense, sampled = pair(0.1)
    x, y = torch.randn(6, 8), torch.randint(40, (6,))
    torch.testing.assert_close(sampled.eval()(x, y), dense(x, y))


def test_trains_with_sparse_adam():
    torch.manual_seed(0)
    labels = torch.arange(300) % 30
    x = F.normalize(torch.randn(30, 16))[labels] + 0.1 * torch.randn(300, 16)
    head = lz.SubCenterArcFaceDynamic(16, 30, margins=0.2, sub_centers=2, scale=16.0, sample_rate=0.5)
    optimizer = torch.optim.SparseAdam(head.parameters(), lr=0.05)
    for start in list(range(0, 300, 20)) * 8:
        optimizer.zero_grad()
        head(x[start : start + 20], labels[start : start + 20]).backward()
        optimizer.step()
    assert (head.predict(x, k=1).classes[:, 0] == labels).float().mean() > 0.95
