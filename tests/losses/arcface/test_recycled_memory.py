import copy
import gc

import pytest
import torch

from landmarkzoo.losses.arcface.recycled_memory import ReusableBuffer

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
    memory = ReusableBuffer()
    kept = keep(memory.empty(SHAPE, torch.float32, CPU).fill_(1))
    first = memory.empty(SHAPE, torch.float32, CPU).fill_(2)
    second = memory.empty(SHAPE, torch.float32, CPU).fill_(3)
    assert {float(x) for x in (first.min(), first.max())} == {2}
    assert second.data_ptr() != first.data_ptr()
    if isinstance(kept, torch.Tensor):
        assert (kept == 1).all()


def test_what_is_not_is_used_again_for_other_shapes_and_dtypes_too():
    memory = ReusableBuffer()
    address = memory.empty(SHAPE, torch.float32, CPU).data_ptr()
    for shape, dtype in ((SHAPE, torch.float32), ((2**21,), torch.bfloat16), ((2**10, 2**10), torch.float64)):
        tensor = memory.empty(shape, dtype, CPU)
        assert (tensor.shape, tensor.dtype) == (torch.Size(shape), dtype)
        assert tensor.data_ptr() == address
        assert tensor.data_ptr() % 64 == 0
        del tensor
        gc.collect()
    assert memory.empty((2**12, 2**10), torch.float32, CPU).data_ptr() % 64 == 0  # larger


def test_copies_have_memory_of_their_own():
    memory = ReusableBuffer()
    memory.empty(SHAPE, torch.float32, CPU)
    twin = copy.deepcopy(memory)
    one, other = memory.empty(SHAPE, torch.float32, CPU), twin.empty(SHAPE, torch.float32, CPU)
    assert one.data_ptr() != other.data_ptr()


def test_autograd_keeps_it_as_the_gradient_without_a_copy():
    memory = ReusableBuffer()

    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return torch.mul(g, 2, out=memory.empty(g.shape, g.dtype, g.device))

    x = torch.randn(SHAPE, requires_grad=True)
    Double.apply(x).sum().backward()
    address = x.grad.data_ptr()
    x.grad = None
    Double.apply(x).sum().backward()
    assert x.grad.data_ptr() == address
    assert (x.grad == 2).all()


def test_threads_never_get_one_block_at_once():
    import sys
    from concurrent.futures import ThreadPoolExecutor

    memory, interval = ReusableBuffer(), sys.getswitchinterval()

    def use(number):
        tensor = memory.empty((2**20 + 1,), torch.float32, CPU)
        tensor[0] = number
        return bool(tensor[0] == number)

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(use, range(400)))
    finally:
        sys.setswitchinterval(interval)
