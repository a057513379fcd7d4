"""Memory that is used again, and given back when nobody asks for it."""

import copy
import gc
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import landmarkzoo as lz
from landmarkzoo.losses.arcface import reusable_buffer
from landmarkzoo.losses.arcface.reusable_buffer import ReusableBuffer

SHAPE, CPU = (2**11, 2**10), torch.device("cpu")


@pytest.mark.parametrize(
    "keep",
    [
        lambda t: t,
        lambda t: t.detach(),
        lambda t: t.view(-1)[:5],
        lambda t: t.numpy()[0],
        lambda t: t.untyped_storage(),
        lambda t: memoryview(t.numpy()),
        lambda t: t.T,
        lambda t: torch.nn.Parameter(t),
    ],
)
def test_what_is_in_use_is_never_handed_out_again(keep):
    buffer = ReusableBuffer()
    kept = keep(buffer.empty(SHAPE, torch.float32, CPU).fill_(1))
    first = buffer.empty(SHAPE, torch.float32, CPU).fill_(2)
    second = buffer.empty(SHAPE, torch.float32, CPU).fill_(3)
    assert {float(x) for x in (first.min(), first.max())} == {2}
    assert second.data_ptr() != first.data_ptr()
    if isinstance(kept, torch.Tensor):
        assert (kept == 1).all()


def test_what_is_not_is_used_again_for_other_shapes_and_dtypes_too():
    buffer = ReusableBuffer()
    address = buffer.empty(SHAPE, torch.float32, CPU).data_ptr()
    for shape, dtype in ((SHAPE, torch.float32), ((2**21,), torch.bfloat16), ((2**10, 2**10), torch.float64)):
        tensor = buffer.empty(shape, dtype, CPU)
        assert (tensor.shape, tensor.dtype) == (torch.Size(shape), dtype)
        assert tensor.data_ptr() == address
        assert tensor.data_ptr() % 64 == 0
        del tensor
        gc.collect()
    assert buffer.empty((2**12, 2**10), torch.float32, CPU).data_ptr() % 64 == 0  # larger


def test_copies_have_memory_of_their_own():
    buffer = ReusableBuffer()
    buffer.empty(SHAPE, torch.float32, CPU)
    twin = copy.deepcopy(buffer)
    one, other = buffer.empty(SHAPE, torch.float32, CPU), twin.empty(SHAPE, torch.float32, CPU)
    assert one.data_ptr() != other.data_ptr()


def test_autograd_keeps_it_as_the_gradient_without_a_copy():
    buffer = ReusableBuffer()

    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return torch.mul(g, 2, out=buffer.empty(g.shape, g.dtype, g.device))

    x = torch.randn(SHAPE, requires_grad=True)
    Double.apply(x).sum().backward()
    address = x.grad.data_ptr()
    x.grad = None
    Double.apply(x).sum().backward()
    assert x.grad.data_ptr() == address
    assert (x.grad == 2).all()


def test_threads_never_get_one_block_at_once():
    buffer, interval = ReusableBuffer(), sys.getswitchinterval()

    def use(number):
        tensor = buffer.empty((2**20 + 1,), torch.float32, CPU)
        tensor[0] = number
        return bool(tensor[0] == number)

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(use, range(400)))
    finally:
        sys.setswitchinterval(interval)


def one_step(head):
    """Memory that Python knows of after a step whose gradient is gone; NumPy's blocks are among it."""
    head(torch.randn(4, 64), torch.tensor([0, 1, 2, 3])).backward()
    head.zero_grad()
    gc.collect()


@pytest.fixture
def traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_eval_gives_the_memory_back(traced):
    head = lz.SubCenterArcFaceDynamic(64, 30_000, margins=0.3)  # 23 MB
    before = tracemalloc.get_traced_memory()[0]
    one_step(head)
    assert tracemalloc.get_traced_memory()[0] - before > 20e6  # kept for the next step
    head.eval()
    assert tracemalloc.get_traced_memory()[0] - before < 1e6


def test_what_nobody_asks_for_is_given_back(traced, monkeypatch):
    monkeypatch.setattr(reusable_buffer, "_IDLE_SECONDS", 0.05)
    head = lz.SubCenterArcFaceDynamic(64, 30_000, margins=0.3)
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(2):  # and again, once there is something to give back
        one_step(head)
        deadline = time.monotonic() + 60
        while tracemalloc.get_traced_memory()[0] - before > 1e6:
            assert time.monotonic() < deadline, "the memory is still held"
            time.sleep(0.01)


def test_a_gradient_in_use_outlives_the_buffer():
    buffer = ReusableBuffer()
    kept = buffer.empty(SHAPE, torch.float32, CPU).fill_(1)
    buffer.release()
    buffer.empty(SHAPE, torch.float32, CPU).fill_(2)
    assert (kept == 1).all()
    del buffer
    gc.collect()
    assert (kept == 1).all()
