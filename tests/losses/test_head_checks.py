"""Wrong input of any head gets a message with what came, what is right, and how to fix it."""

import math

import numpy as np
import pytest
import torch
from each_head import each_head

pytestmark = each_head

X = torch.randn(2, 4)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (torch.tensor([0, 3]), ValueError, r"in \[0, 3\), got 3 at row 1"),
        (torch.tensor([-1, 0]), ValueError, r"got -1 at row 0.*leave them out"),
        (torch.tensor([0.0, 1.0]), TypeError, "integer dtype, got torch.float32"),
        (torch.tensor([True, False]), TypeError, "integer dtype, got torch.bool"),
        (torch.tensor([0, 1, 2]), ValueError, r"shape \(2,\)"),
        (torch.tensor([[0], [1]]), ValueError, r"shape \(2,\)"),
        ([0, 1], TypeError, "torch.Tensor of integers"),
        (None, TypeError, "torch.Tensor of integers, got NoneType"),
        (
            torch.tensor([0, 2**64 - 1], dtype=torch.uint64),
            ValueError,
            f"got {2**64 - 1} at row 1 of the batch.$",
        ),
        (torch.tensor([0, 1], device="meta"), ValueError, "labels are on meta"),
    ],
)
def test_labels(make_head, labels, error, message):
    with pytest.raises(error, match=message):
        make_head(4, 3)(X, labels)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int16, torch.uint64])
def test_other_integer_labels_are_fine(make_head, dtype):
    head, labels = make_head(4, 3), torch.tensor([0, 2])
    torch.testing.assert_close(head(X, labels.to(dtype)), head(X, labels))


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.randn(2, 5), ValueError, r"shape \(B, 4\).*got \(2, 5\)"),
        (torch.randn(4), ValueError, r"shape \(B, 4\)"),
        (torch.randn(0, 4), ValueError, r"B >= 1, got \(0, 4\)"),
        (torch.ones(2, 4, dtype=torch.int64), TypeError, "floating point"),
        (np.ones((2, 4), np.float32), TypeError, "torch.from_numpy"),
        (torch.tensor([[1.0] * 4, [math.nan] * 4]), ValueError, "row 1 of the batch has NaN"),
        (torch.tensor([[math.inf] * 4, [1.0] * 4]), ValueError, "row 0 of the batch has NaN or infinite"),
        (torch.randn(2, 4, device="meta"), ValueError, "embeddings are on meta, the head is on cpu"),
    ],
)
def test_embeddings(make_head, x, error, message):
    head = make_head(4, 3)
    for call in (head.cosine, head.predict, lambda x: head(x, torch.tensor([0, 1]))):
        with pytest.raises(error, match=message):
            call(x)


def test_sizes(make_head):
    with pytest.raises(ValueError, match="num_classes must be a positive integer, got 0"):
        make_head(4, 0)
    with pytest.raises(ValueError, match="embedding_dim must be a positive integer"):
        make_head(2.5, 3)


def test_numbers_of_numpy_and_torch_are_numbers(make_head):
    head = make_head(np.int64(4), torch.tensor(3))
    assert (head.embedding_dim, type(head.embedding_dim), type(head.num_classes)) == (4, int, int)
    assert head.predict(X, k=np.int64(2)).classes.shape == (2, 2)
