"""Names that every doctest of the package may use."""

import numpy as np
import pytest
import torch

import landmarkzoo as lz


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace: dict[str, object]) -> None:
    doctest_namespace.update(lz=lz, np=np, torch=torch)
