"""Descriptors whose dimensions are spread like a normal distribution (Henkel and Singer 2020)."""

from __future__ import annotations

import numpy as np

from landmarkzoo._utils.checks import FloatArray, unit


def quantile_normal(
    queries: FloatArray, train: FloatArray, others: FloatArray | None
) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    """Map each dimension of vectors of length 1 to a normal distribution, by its quantiles among the queries.

    Raises:
        ModuleNotFoundError: If scikit-learn is not there.
    """
    try:
        from sklearn.preprocessing import QuantileTransformer
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("the quantile step needs scikit-learn: pip install scikit-learn") from error
    x = unit(queries)
    transformer = QuantileTransformer(
        n_quantiles=min(1000, len(x)), output_distribution="normal", subsample=None
    ).fit(x)

    def transform(vectors: FloatArray) -> FloatArray:
        return np.asarray(transformer.transform(unit(vectors)), dtype=np.float32)

    return transform(queries), transform(train), None if others is None else transform(others)
