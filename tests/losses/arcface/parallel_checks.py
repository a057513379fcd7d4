"""What every process of ``test_parallel`` checks; the reference is computed by each on its own."""

import copy
import datetime
import pickle
import time
from pathlib import Path

import pytest
import torch
from torch import distributed as dist

import landmarkzoo as lz

CLASSES, DIM, SIZES = 8, 16, (3, 5, 2)  # 8 classes are uneven over 3 ranks, and so are the batches
OPTIONS = [
    {},
    {"reduction": "sum", "sub_centers": 2},
    {"reduction": "none"},
    {"label_smoothing": 0.1, "class_weights": [0.5 + 0.1 * c for c in range(CLASSES)]},
]


def run_checks(rank, world_size, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=world_size,
        timeout=datetime.timedelta(seconds=300),
    )
    torch.manual_seed(1)
    sizes = SIZES[:world_size]
    x, y = torch.randn(sum(sizes), DIM), torch.randint(CLASSES, (sum(sizes),))
    own = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
    for options in OPTIONS:
        loss_and_gradients(x, y, own, options)
    cosines_predictions_and_tools(x, y, own)
    behind_a_distributed_model(x, y, own)
    sampling_at_rate_1(x, y, own)
    files(folder, rank, x, y, own)
    errors_on_one_rank_are_errors_on_all(rank, world_size)
    what_differs_between_ranks_is_an_error_instead_of_a_hang(x, y, own, rank, world_size)
    copies_and_state_dicts(rank, world_size)
    leave_together(folder, rank, world_size)
    dist.destroy_process_group()


def leave_together(folder, rank, world_size):
    """Who leaves first closes connections that others may still read from: a barrier does not help there."""
    Path(folder, f"done_{rank}").touch()
    deadline = time.monotonic() + 300
    while not all(Path(folder, f"done_{r}").exists() for r in range(world_size)):
        assert time.monotonic() < deadline, "another process did not finish"
        time.sleep(0.01)


def pair(**options):
    """One process and many, with the weight that one seed gives both."""
    options = {"margins": [0.1 * c for c in range(CLASSES)], **options}
    torch.manual_seed(0)
    whole = lz.SubCenterArcFaceDynamic(DIM, CLASSES, **options)
    torch.manual_seed(0)
    spread = lz.SubCenterArcFaceDynamic(DIM, CLASSES, process_group=dist.group.WORLD, **options)
    k = whole.sub_centers
    rows = slice(spread.shard.start * k, spread.shard.stop * k)
    assert torch.equal(spread.weight, whole.weight[rows])
    return whole, spread, rows


def loss_and_gradients(x, y, own, options):
    whole, spread, rows = pair(**options)
    x_all, x_own = x.clone().requires_grad_(), x[own].clone().requires_grad_()
    expected, loss = whole(x_all, y), spread(x_own, y[own])
    if options.get("reduction") == "none":
        upstream = torch.arange(1.0, len(x) + 1)
        torch.testing.assert_close(loss, expected[own], rtol=1e-5, atol=1e-5)
        expected, loss = expected @ upstream, loss @ upstream[own]
    else:
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    expected.backward()
    loss.backward()
    torch.testing.assert_close(x_own.grad, x_all.grad[own], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(spread.weight.grad, whole.weight.grad[rows], rtol=1e-5, atol=1e-5)


def cosines_predictions_and_tools(x, y, own):
    whole, spread, rows = pair()
    x_all, x_own = x.clone().requires_grad_(), x[own].clone().requires_grad_()
    cosine, expected = spread.cosine(x_own), whole.cosine(x_all)
    torch.testing.assert_close(cosine, expected[own], rtol=1e-5, atol=1e-6)
    upstream = torch.randn(expected.shape, generator=torch.Generator().manual_seed(5))
    (expected * upstream).sum().backward()
    (cosine * upstream[own]).sum().backward()
    torch.testing.assert_close(x_own.grad, x_all.grad[own], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(spread.weight.grad, whole.weight.grad[rows], rtol=1e-5, atol=1e-5)
    for k in (1, 5, CLASSES):  # more than a shard has
        found, right = spread.predict(x[own], k), whole.predict(x, k)
        assert torch.equal(found.classes, right.classes[own])
        torch.testing.assert_close(found.cosines, right.cosines[own], rtol=1e-5, atol=1e-6)
    assert torch.equal(spread.center_usage(x[own], y[own]).counts, whole.center_usage(x, y).counts)
    for found, right in zip(
        spread.outliers(x[own], y[own], angle=0), whole.outliers(x[own], y[own], angle=0)
    ):
        torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-6)


def behind_a_distributed_model(x, y, own):
    """As the docs say: DDP takes the mean over processes, so what goes back is scaled by their number."""
    whole, spread, _ = pair()
    torch.manual_seed(0)
    model = torch.nn.Linear(DIM, DIM)
    expected = torch.autograd.grad(whole(model(x), y), list(model.parameters()))
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    embeddings = parallel(x[own])
    embeddings.register_hook(lambda g: g * dist.get_world_size())
    spread(embeddings, y[own]).backward()
    for parameter, right in zip(model.parameters(), expected):
        torch.testing.assert_close(parameter.grad, right, rtol=1e-5, atol=1e-5)


def sampling_at_rate_1(x, y, own):
    whole, _, rows = pair()
    _, sampled, _ = pair(sample_rate=1.0)
    expected, loss = whole(x, y), sampled(x[own], y[own])
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    expected.backward()
    loss.backward()
    torch.testing.assert_close(sampled.weight.grad.to_dense(), whole.weight.grad[rows], rtol=1e-5, atol=1e-5)


def files(folder, rank, x, y, own):
    whole, spread, rows = pair(class_weights=[1.0] * CLASSES)
    model = lz.GlobalDescriptor("test_efficientnet", embedding_dim=DIM)
    names = [f"class {c}" for c in range(CLASSES)]
    model.save_pretrained(f"{folder}/spread", head=spread, class_names=names)
    dist.barrier()
    loaded, class_names = lz.load_head(f"local-dir:{folder}/spread")  # onto one process
    assert class_names == names
    assert torch.equal(loaded.weight, whole.weight)
    assert torch.equal(loaded(x, y), whole(x, y))
    again, _ = lz.load_head(f"local-dir:{folder}/spread", process_group=dist.group.WORLD)
    assert torch.equal(again.weight, whole.weight[rows])
    torch.testing.assert_close(again(x[own], y[own]), whole(x, y), rtol=1e-5, atol=1e-5)
    if dist.get_world_size() > 1:  # onto fewer processes than wrote it
        pair_of_ranks = dist.new_group([0, 1])
        if rank < 2:
            fewer, _ = lz.load_head(f"local-dir:{folder}/spread", process_group=pair_of_ranks)
            half = CLASSES // 2 * whole.sub_centers
            assert torch.equal(fewer.weight, whole.weight[rank * half : (rank + 1) * half])
    spread.load_state_dict(whole.state_dict())  # of all classes: each takes its own
    assert torch.equal(spread.weight, whole.weight[rows])
    lz.losses.save_head(spread, f"{folder}/again")
    assert Path(folder, "again", "head.safetensors").is_file()  # on all processes, without a barrier
    with pytest.raises(
        ValueError, match="class names for 8 classes" if rank == 0 else "rank 0 stopped|class names"
    ):
        lz.losses.save_head(spread, f"{folder}/again", names[: -1 if rank == 0 else None])
    error = OSError if rank == 0 else ValueError  # the first writes, the others hear of it
    with pytest.raises(error):
        lz.losses.save_head(spread, f"{folder}/rendezvous/below_a_file")


def errors_on_one_rank_are_errors_on_all(rank, world_size):
    _, spread, _ = pair()
    x, y = torch.randn(2, DIM), torch.tensor([0, 1])
    last = rank == world_size - 1
    elsewhere = f"rank {world_size - 1} stopped with an error"
    with pytest.raises(ValueError, match=r"in \[0, 8\), got 8 at row 0" if last else elsewhere):
        spread(x, y + CLASSES if last else y)
    with pytest.raises(ValueError, match="row 0 of the batch has NaN" if last else elsewhere):
        spread(x * torch.nan if last else x, y)
    assert torch.isfinite(spread(x, y))  # and all are still in step
    if world_size > 1:
        with pytest.raises(ValueError, match="cannot be split over"):
            lz.SubCenterArcFaceDynamic(DIM, world_size - 1, process_group=dist.group.WORLD)


def what_differs_between_ranks_is_an_error_instead_of_a_hang(x, y, own, rank, world_size):
    _, spread, _ = pair()
    last = rank == world_size - 1
    if world_size > 1:
        x_own, y_own = x[own], y[own]
        with pytest.raises(ValueError, match=r"must match in bits of the dtype, got .*32, 64"):
            spread(x_own.double() if last else x_own, y_own)
        with pytest.raises(ValueError, match=r"must match in embeddings that need a gradient, got .*0, 1"):
            spread(x_own.clone().requires_grad_(last), y_own)
        spread.weight.requires_grad_(not last)
        with pytest.raises(ValueError, match=r"must match in weights that need a gradient, got .*1, 0"):
            spread(x_own, y_own)
        spread.weight.requires_grad_(True)
        with pytest.raises(ValueError, match=r"must match in k, got .*2, 3"):
            spread.predict(x_own, k=3 if last else 2)
    for wrong, message in (
        (lambda: spread.predict(x[own], k=0 if last else 2), "k must be a positive integer, got 0"),
        (lambda: spread.outliers(x[own], y[own], angle=75 if last else 1), "angle must be in radians"),
    ):
        with pytest.raises(ValueError, match=message if last else f"rank {world_size - 1} stopped"):
            wrong()
    assert torch.isfinite(spread(x[own], y[own]))  # and all are still in step


def copies_and_state_dicts(rank, world_size):
    whole, spread, _ = pair()
    twin = copy.deepcopy(spread)
    assert twin.processes.group is spread.processes.group
    assert torch.equal(twin.weight, spread.weight)
    with pytest.raises(TypeError, match="cannot be pickled: save_pretrained"):
        pickle.dumps(spread)
    spread.load_state_dict(whole.state_dict(), assign=True)
    assert spread.weight.untyped_storage().nbytes() == spread.weight.nbytes  # not a view of the whole
    twin.load_state_dict(spread.state_dict())
    if world_size == 2:  # two shards of the same shape
        other = spread.state_dict()
        other._metadata[""]["classes"] = [4, 8, 8] if rank == 0 else [0, 4, 8]  # as the other rank saves it
        with pytest.raises(ValueError, match="load on each process what it saved itself"):
            twin.load_state_dict(other)
    if world_size == 3:
        some = dist.new_group([0, 1])
        if rank == 2:
            with pytest.raises(ValueError, match="this process does not belong to the process_group"):
                lz.SubCenterArcFaceDynamic(DIM, CLASSES, process_group=some)
