"""Any number of threads embed with one model, in any mode, and nothing about it changes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from PIL import Image

import landmarkzoo as lz

CALLS = 24


@pytest.fixture(scope="module")
def photos():
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (CALLS, 4, 5, 3), dtype=np.uint8)
    return [Image.fromarray(array).resize((80, 64)) for array in coarse]


def fresh(**options):
    torch.manual_seed(0)
    model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True, **options)
    model.cfg = lz.ModelCfg(
        model.cfg.architecture,
        model.cfg.args,
        input_size=(3, 64, 64),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        embedding_dim=model.embedding_dim,
    )
    return model


def embed(model, photos, **options):
    return lz.embed(model, photos, progress=False, **options).vectors


def state_of(model):
    """What embedding must leave: weights and buffers bit by bit, settings of torch, modes, places."""
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    settings = (
        torch.get_float32_matmul_precision(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
    )
    flags = [(module.training, [p.requires_grad for p in module.parameters()]) for module in model.modules()]
    return tensors, settings, flags, [tensor.data_ptr() for tensor in model.state_dict().values()]


def assert_same_state(before, after):
    assert before[1:] == after[1:]
    assert all(torch.equal(tensor, after[0][name]) for name, tensor in before[0].items())


def in_threads(function, items):
    start = threading.Barrier(8)  # so that the first eight calls overlap

    def call(position):
        if position < 8:
            start.wait()
        return function(items[position])

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(call, range(len(items))))


@pytest.mark.parametrize(
    ("training", "options"),
    [(True, {}), (False, {}), (True, {"device": "cpu"}), (True, {"precision": "bfloat16", "flip": True})],
)
def test_photos_one_by_one_in_threads(photos, training, options):
    model = fresh()
    assert model.training  # as create_model gives it
    model.train(training)
    expected = [embed(fresh().eval(), photo, **options) for photo in photos]
    before = state_of(model)
    results = in_threads(lambda photo: embed(model, photo, **options), photos)
    np.testing.assert_array_equal(results, expected)
    assert_same_state(before, state_of(model))


@contextmanager
def meanwhile(work):
    """Do something over and over in another thread."""
    stop, errors, done = threading.Event(), [], threading.Event()

    def loop():
        try:
            while not stop.is_set():
                work()
                done.set()
        except Exception as error:
            errors.append(error)
            done.set()

    thread = threading.Thread(target=loop)
    thread.start()
    done.wait()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not errors


def test_while_another_thread_switches_the_model(photos):
    model = fresh()
    expected = [embed(fresh(), photo) for photo in photos]

    def switch():
        model.train()
        model.eval()

    with meanwhile(switch):
        results = in_threads(lambda photo: embed(model, photo), photos)
    np.testing.assert_array_equal(results, expected)
    assert not model.training  # what the other thread set last


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_and_embedding_do_not_disturb_each_other(photos, precision):
    """A trainer with a learning rate of 0: each step must give the gradients of the step before it."""
    model = fresh()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.0  # running statistics stay
    expected = [embed(model, photo, precision=precision) for photo in photos]
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    def step():
        model.train()
        model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            loss = model(images).float().square().sum()
        loss.backward()
        gradients.append(model.neck[0].weight.grad.clone())

    gradients = []
    step()
    with meanwhile(step):
        results = in_threads(lambda photo: embed(model, photo, precision=precision), photos)
    np.testing.assert_array_equal(results, expected)
    assert len(gradients) > 2
    assert all(torch.equal(gradients[0], gradient) for gradient in gradients)
    assert model.training


def test_whitening_in_threads(photos):
    expected = fresh(embedding_dim=8)
    lz.whiten_neck(expected, photos, progress=False)
    model = fresh(embedding_dim=8)
    pooled_before = {n: t.clone() for n, t in model.state_dict().items() if not n.startswith("neck")}
    in_threads(lambda _: lz.whiten_neck(model, photos, progress=False), list(range(8)))
    assert all(torch.equal(t, model.state_dict()[n]) for n, t in expected.state_dict().items())
    assert all(torch.equal(t, model.state_dict()[n]) for n, t in pooled_before.items())
    assert all(module.training for module in model.modules())


def test_evaluating_in_threads():
    data = lz.rendered.RenderedLandmarks(3, 4, 2, image_size=64)
    model = fresh()
    before = state_of(model)
    expected = lz.evaluate(fresh(), data, resamples=10, progress=False)
    results = in_threads(lambda _: lz.evaluate(model, data, resamples=10, progress=False), list(range(8)))
    assert all(result["mAP@100"] == expected["mAP@100"] for result in results)
    assert_same_state(before, state_of(model))
