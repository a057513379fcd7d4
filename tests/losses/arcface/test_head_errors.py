"""Wrong input of the head gets a message with what came, what is right, and how to fix it."""

import math

import numpy as np
import pytest
import torch

import landmarkzoo as lz


class TestErrors:
    head = lz.SubCenterArcFaceDynamic(4, 3, margins=0.5)
    x = torch.randn(2, 4)

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
            (torch.tensor([0, 1], device="meta"), ValueError, "labels are on meta"),
        ],
    )
    def test_labels(self, labels, error, message):
        with pytest.raises(error, match=message):
            self.head(self.x, labels)

    @pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int16])
    def test_other_integer_labels_are_fine(self, dtype):
        labels = torch.tensor([0, 2])
        torch.testing.assert_close(self.head(self.x, labels.to(dtype)), self.head(self.x, labels))

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
    def test_embeddings(self, x, error, message):
        for call in (self.head.cosine, self.head.predict, lambda x: self.head(x, torch.tensor([0, 1]))):
            with pytest.raises(error, match=message):
                call(x)

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"class_counts": [1, 0, 2]}, ValueError, "class 1 has no image"),
            ({"class_counts": 100}, ValueError, r"class_counts must have shape \(3,\)"),
            ({"class_counts": [1, 2]}, ValueError, r"class_counts must .*shape \(3,\)"),
            ({"class_counts": [1, 2, 3], "margins": 0.3}, ValueError, "not both"),
            ({"margins": [0.1, 0.2]}, ValueError, r"margins must .*shape \(3,\), one a class, got \(2,\)"),
            ({"margins": 28.6}, ValueError, "Are these degrees"),
            ({"margins": -0.1}, ValueError, r"radians in \[0, pi\)"),
            ({"margins": "large"}, TypeError, "margins must be an array of numbers"),
            ({"margins": [0.1, math.nan, 0.1]}, ValueError, "finite, got nan for class 1"),
            ({"sub_centers": 0}, ValueError, "sub_centers must be a positive integer"),
            ({"sub_centers": 256}, ValueError, "at most 255"),
            ({"scale": 0}, ValueError, "scale must be positive"),
            ({"label_smoothing": 1.5}, ValueError, r"label_smoothing must be in \[0, 1\]"),
            ({"class_weights": [1, -1, 1]}, ValueError, "must not be negative, got -1.0 for class 1"),
            ({"reduction": "average"}, ValueError, "reduction must be one of"),
            ({"products": "float16"}, ValueError, "products must be one of"),
            ({"sample_rate": 0.0}, ValueError, "sample_rate must be in"),
        ],
    )
    def test_arguments(self, arguments, error, message):
        with pytest.raises(error, match=message):
            lz.SubCenterArcFaceDynamic(4, 3, **arguments)
        with pytest.raises(ValueError, match="num_classes must be a positive integer"):
            lz.SubCenterArcFaceDynamic(4, 0, margins=0.3)

    def test_without_margins_cosine_works_and_the_loss_says_what_is_missing(self):
        head = lz.SubCenterArcFaceDynamic(4, 3)
        assert head.cosine(self.x).shape == (2, 3)
        with pytest.raises(ValueError, match="neither class_counts nor margins"):
            head(self.x, torch.tensor([0, 1]))

    def test_numbers_of_numpy_are_numbers(self):
        assert self.head.predict(self.x, k=np.int64(2)).classes.shape == (2, 2)
        head = lz.SubCenterArcFaceDynamic(np.int64(4), np.int32(3), sample_rate=np.float32(0.5))
        assert (head.embedding_dim, type(head.num_classes), type(head.sample_rate)) == (4, int, float)
