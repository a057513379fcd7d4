"""What every head does, ArcFace and CosFace alike: odd input, precision, predictions, copies, training."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from each_head import each_head
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.losses import base_head, head_checks


def class_cosines(x, head):
    cosines = F.linear(F.normalize(x), F.normalize(head.weight))
    return cosines.view(len(x), head.num_classes, -1).amax(dim=2)


@each_head
class TestEdges:
    def test_embeddings_on_a_center_and_opposite_to_it_have_finite_gradients(self, make_head):
        for dtype in (torch.float32, torch.float64):
            head = make_head(4, 2).to(dtype)
            w = head.weight.detach()[:: head.sub_centers]
            x = torch.stack([w[0], -w[0], 3 * w[1], w[1] + 1e-9]).requires_grad_()
            loss = head(x, torch.tensor([0, 0, 1, 1]))
            loss.backward()
            for tensor in (loss, x.grad, head.weight.grad):
                assert torch.isfinite(tensor).all()
            assert x.grad.abs().max() < 100

    def test_zero_embeddings_and_zero_centers(self, make_head):
        head = make_head(4, 3)
        with torch.no_grad():
            head.weight[:2] = 0
        x = torch.zeros(2, 4, requires_grad=True)
        loss = head(x, torch.tensor([0, 2]))
        loss.backward()
        assert torch.equal(head.cosine(x), torch.zeros(2, 3))
        for tensor in (loss, x.grad, head.weight.grad):
            assert torch.isfinite(tensor).all()
        assert x.grad.abs().max() < 1000

    @pytest.mark.parametrize("length", [1e-44, 1e-38, 1e-25, 1e-3, 1e3, 1e25, 1e38])
    def test_embeddings_of_any_length(self, make_head, length):
        head = make_head(4, 3)
        x, y = torch.tensor([[1.0, 2, 0, -1], [0, 0, 3, 1]]), torch.tensor([0, 2])
        scaled = (x * length).requires_grad_()
        loss = head(scaled, y)
        if length > 1e-40:  # below it the numbers themselves have few digits
            torch.testing.assert_close(loss, head(x, y))
        loss.backward()
        assert torch.isfinite(scaled.grad).all()
        x.requires_grad_()
        head(x, y).backward()
        if 1e-3 <= length < 1e30:  # the gradient shrinks as vectors grow
            torch.testing.assert_close(scaled.grad * length, x.grad, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_low_precision_embeddings_and_autocast(self, make_head, dtype):
        head = make_head(16, 7)
        x, y = torch.randn(5, 16).to(dtype).requires_grad_(), torch.randint(7, (5,))
        with torch.autocast("cpu", dtype=dtype):
            loss = head(x, y)
            assert head.cosine(x).dtype == torch.float32
        loss.backward()
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, head(x.float(), y))
        assert x.grad.dtype == dtype
        assert torch.isfinite(x.grad).all()
        assert head.weight.grad.dtype == torch.float32


@each_head
class TestPredictions:
    def test_cosine_and_its_gradient_equal_the_plain_formulation(self, make_head):
        head, x, upstream = make_head(8, 21), torch.randn(5, 8, requires_grad=True), torch.randn(5, 21)
        ours = torch.autograd.grad(head.cosine(x), [x, head.weight], upstream)
        plain = torch.autograd.grad(class_cosines(x, head), [x, head.weight], upstream)
        for one, other in zip(ours, plain):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(head.cosine(x), class_cosines(x, head))

    def test_cosines_can_be_changed_in_place(self, make_head):
        head = make_head(4, 3)
        x = torch.randn(2, 4, requires_grad=True)
        expected = torch.autograd.grad((head.cosine(x) * 45).sum(), x)[0]
        cosine = head.cosine(x)
        cosine *= 45
        torch.testing.assert_close(torch.autograd.grad(cosine.view(-1).sum(), x)[0], expected)

    def test_in_blocks_with_ties_by_the_smaller_class(self, make_head, monkeypatch):
        head = make_head(4, 9)
        k = head.sub_centers
        with torch.no_grad():
            for twin in (5, 7):  # classes that are class 2 again
                head.weight[k * twin : k * (twin + 1)] = head.weight[k * 2 : k * 3]
        x = torch.randn(30, 4)
        whole = head.predict(x, k=4)
        cosine = head.cosine(x).detach()
        for row in range(30):
            order = sorted(range(9), key=lambda c: (-cosine[row, c].item(), c))[:4]
            assert whole.classes[row].tolist() == order
        torch.testing.assert_close(whole.cosines, cosine.gather(1, whole.classes))
        monkeypatch.setattr(base_head, "_PREDICT_VALUES", 40)  # four images at a time
        assert torch.equal(head.predict(x, k=4).classes, whole.classes)
        assert torch.equal(head.predict(x, k=1).classes[:, 0], whole.classes[:, 0])
        assert head.predict(x, k=100).classes.shape == (30, 9)
        with pytest.raises(ValueError, match="k must be a positive integer, got 0"):
            head.predict(x, k=0)


@each_head
def test_predictions_need_the_memory_of_blocks(make_head, monkeypatch):
    monkeypatch.setattr(base_head, "_PREDICT_VALUES", 2**16)
    monkeypatch.setattr(head_checks, "_CHECKED_VALUES", 2**16)
    head, x = make_head(64, 50).eval(), torch.randn(100_000, 64)  # 26 MB
    head.predict(x[:100], k=1)
    with torch.profiler.profile(profile_memory=True) as profile:
        classes, cosines = head.predict(x, k=1)
    held = most = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    results = classes.nbytes + cosines.nbytes
    assert most < 2 * results + 4e6  # the parts, put together, and a block of 1,310 rows


@each_head
def test_threads_get_what_one_gets(make_head):
    head, x, y = make_head(64, 3000), torch.randn(40, 6, 64), torch.randint(3000, (40, 6))

    def work(i):
        one = x[i].clone().requires_grad_()
        by_x, by_weight = torch.autograd.grad(head(one, y[i]), [one, head.weight])
        return [by_x, by_weight.clone(), *head.predict(x[i])]

    expected = [work(i) for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        for right, got in zip(expected, pool.map(work, range(40))):
            for one, other in zip(right, got):
                torch.testing.assert_close(one, other)


@each_head
class TestModule:
    def test_state_dict_is_the_weight_and_the_margins_and_starts_uniform(self, make_head):
        head = make_head(64, 5000)
        assert [name for name, _ in head.named_parameters()] == ["weight"]
        assert list(head.state_dict()) == ["weight", "margins"]
        assert head.weight.shape == (5000 * head.sub_centers, 64)
        assert head.weight.abs().max() <= 1 / 8
        assert head.weight.std().item() == pytest.approx(1 / 8 / 3**0.5, rel=0.01)
        assert not torch.equal(head.weight[:100], head.weight[4096 * head.sub_centers :][:100])

    def test_from_the_meta_device(self, make_head):
        x, y, right = torch.randn(2, 4), torch.tensor([0, 2]), make_head(4, 3)
        for new in (make_head(4, 3, device="meta"), make_head(4, 3).to("meta")):
            assert repr(new) == repr(right)
            new = new.to_empty(device="cpu")
            new.load_state_dict(right.state_dict())
            assert torch.equal(new(x, y), right(x, y))
        new = make_head(4, 3, device="meta")
        new.load_state_dict(right.state_dict(), assign=True)
        assert torch.equal(new(x, y), right(x, y))

    def test_copies_and_pickles_after_a_step(self, make_head):
        head = make_head(64, 20_000)  # large enough for ArcFace to reuse memory
        x, y = torch.randn(4, 64), torch.randint(20_000, (4,))
        head(x, y).backward()
        for twin in (copy.deepcopy(head), pickle.loads(pickle.dumps(head))):
            torch.testing.assert_close(twin(x, y), head(x, y), rtol=0, atol=0)

    def test_frozen_head_or_embeddings(self, make_head):
        head = make_head(64, 2000)
        x, y = torch.randn(2, 64, requires_grad=True), torch.tensor([0, 1])
        by_x, by_weight = torch.autograd.grad(head(x, y), [x, head.weight])
        head(x.detach(), y).backward()  # embeddings without gradient
        assert torch.equal(head.weight.grad, by_weight)
        twin = copy.deepcopy(head).requires_grad_(False)
        assert torch.equal(torch.autograd.grad(twin(x, y), x)[0], by_x)

    def test_learns_clusters(self, make_head):
        labels = torch.arange(160) % 8
        x = 3 * F.normalize(torch.randn(8, 16))[labels] + 0.3 * torch.randn(160, 16)
        head = make_head(16, 8, scale=16.0)
        optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
        for _ in range(30):
            optimizer.zero_grad()
            head(x, labels).backward()
            optimizer.step()
        assert (head.predict(x, k=1).classes[:, 0] == labels).float().mean() > 0.98

    @pytest.mark.parametrize("backend", ["eager", "aot_eager"])
    def test_compiled_code_gives_the_same(self, make_head, backend):
        head, model = make_head(8, 11), torch.nn.Linear(6, 8)

        def step(x, y):
            return head(model(x).relu(), y) * 2

        x, y = torch.randn(5, 6), torch.randint(11, (5,))
        compiled = torch.compile(step, backend=backend)(x, y)
        gradients = torch.autograd.grad(compiled, [model.weight, head.weight])
        plain = step(x, y)
        torch.testing.assert_close(compiled, plain)
        for one, other in zip(gradients, torch.autograd.grad(plain, [model.weight, head.weight])):
            torch.testing.assert_close(one, other)


def test_what_can_be_registered():
    with pytest.raises(TypeError, match=r"a subclass of lz.losses.Head, got <class 'torch.nn"):
        lz.losses.register_head(torch.nn.Linear)
    assert lz.losses.register_head(lz.losses.CosFace) is lz.losses.CosFace  # again is fine
    other = type("CosFace", (lz.losses.CosFace,), {"__module__": "elsewhere"})
    with pytest.raises(ValueError, match="called CosFace is registered already"):
        lz.losses.register_head(other)
