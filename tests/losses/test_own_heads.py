"""Heads that users write: what they may have, and what is refused with the way out."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_head_files import one_process_group
from torch import nn
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.losses import base_head

register_head = lz.losses.register_head
GUIDE = Path(__file__).parents[2] / "docs" / "guide"


@pytest.fixture(autouse=True)
def own_names(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(base_head, "_HEADS", dict(base_head._HEADS))


class Plain(lz.losses.Head):
    """No more than the base asks for: no device, no dtype."""

    def __init__(self, embedding_dim, num_classes):
        super().__init__(embedding_dim, num_classes)
        self.weight = nn.Parameter(torch.empty(num_classes, embedding_dim))
        self.reset_parameters()

    def cosine(self, embeddings):
        return F.normalize(embeddings.to(self.weight.dtype)) @ F.normalize(self.weight).T

    def forward(self, embeddings, labels):
        return F.cross_entropy(self.cosine(embeddings), labels)


class Learned(Plain):
    """Tensors of many kinds, and values that the constructor computes."""

    def __init__(self, embedding_dim, num_classes, *, groups=2):
        super().__init__(embedding_dim, num_classes)
        self.groups = groups
        self.keep_per_class("rarity", None)
        self.log_scale = nn.Parameter(torch.tensor(0.0))
        self.project = nn.Linear(embedding_dim, embedding_dim)
        self.register_buffer("seen", torch.zeros(num_classes, dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(embedding_dim, dtype=torch.float64))
        self.register_buffer("steps", torch.arange(4.0), persistent=False)
        self.offset = torch.log(torch.tensor(float(num_classes))).item()

    def cosine(self, embeddings):
        return super().cosine(self.project(embeddings))


class LearnedArcFace(lz.SubCenterArcFaceDynamic):
    def __init__(self, embedding_dim, num_classes, *, margins=0.3):
        super().__init__(embedding_dim, num_classes, margins=margins)
        self.bias = nn.Parameter(torch.zeros(num_classes))
        self.register_buffer("steps", torch.arange(4.0), persistent=False)


class Tempered(lz.losses.CosFace):
    def __init__(self, *args, temperature=1.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.temperature = temperature


def save_and_load(head, folder, **options):
    register_head(type(head))
    lz.losses.save_head(head, folder)
    loaded, _ = lz.load_head(folder, **options)
    assert type(loaded) is type(head)
    return loaded


def fill(head):
    with torch.no_grad():
        for name, tensor in head.state_dict().items():
            if name in head.fixed_numbers():
                continue
            tensor.copy_(torch.randn(tensor.shape) * 100)
    return head


@pytest.mark.parametrize("head_class", [Plain, Learned, LearnedArcFace])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_every_tensor_comes_back(tmp_path, head_class, dtype):
    head = fill(head_class(8, 3).to(dtype))
    loaded = save_and_load(head, tmp_path)
    expected = head.state_dict()
    assert list(loaded.state_dict()) == list(expected)
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == expected[name].dtype
        assert torch.equal(tensor, expected[name])
    for name, buffer in loaded.named_buffers():  # those outside the state dict too
        assert torch.equal(buffer, head.get_buffer(name))
        assert buffer.dtype == head.get_buffer(name).dtype
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    assert getattr(loaded, "offset", None) == getattr(head, "offset", None)


def test_a_loaded_head_does_not_hold_on_to_its_file(tmp_path):
    loaded = save_and_load(fill(Learned(8, 3)), tmp_path)
    for tensor in loaded.state_dict().values():
        assert tensor.untyped_storage().nbytes() == tensor.nbytes


def test_a_head_of_mixed_dtypes(tmp_path):
    head = Learned(8, 3)
    head.weight.data = head.weight.data.bfloat16()
    loaded = save_and_load(fill(head), tmp_path)
    assert (loaded.weight.dtype, loaded.log_scale.dtype) == (torch.bfloat16, torch.float32)


def test_numbers_of_each_class_are_in_the_state_dict_and_no_json_arguments(tmp_path):
    head = fill(LearnedArcFace(8, 3, margins=[0.1, 0.2, 0.3]))
    assert torch.equal(head.state_dict()["margins"], torch.tensor([0.1, 0.2, 0.3]))
    loaded = save_and_load(head, tmp_path)
    assert torch.equal(loaded.margins, torch.tensor([0.1, 0.2, 0.3]))
    assert loaded.arguments() == head.arguments() == {"embedding_dim": 8, "num_classes": 3}


def test_a_subclass_that_takes_no_process_group_is_not_split(tmp_path):
    with (
        pytest.raises(ValueError, match="LearnedArcFace cannot be split over a process_group"),
        one_process_group(tmp_path) as group,
    ):
        save_and_load(LearnedArcFace(8, 3), tmp_path, process_group=group)


def test_a_split_head_with_more_tensors(tmp_path):
    class Split(lz.SubCenterArcFaceDynamic):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.bias = nn.Parameter(torch.zeros(self.num_classes))

    with one_process_group(tmp_path) as group:
        head = fill(Split(8, 3, margins=0.3, process_group=group))
        loaded = save_and_load(head, tmp_path, process_group=group)
        assert loaded.processes.group is group
        assert torch.equal(loaded.bias, head.bias)
        assert torch.equal(loaded.weight, head.weight)


def test_reading_leaves_drawing_as_it_was(tmp_path):
    save_and_load(lz.SubCenterArcFaceDynamic(8, 3), tmp_path)
    assert lz.SubCenterArcFaceDynamic(8, 3).weight.abs().min() > 0


def test_tensors_that_share_memory_are_refused(tmp_path):
    class Tied(Plain):
        def __init__(self, embedding_dim, num_classes):
            super().__init__(embedding_dim, num_classes)
            self.linear = nn.Linear(embedding_dim, num_classes)
            self.linear.weight = self.weight

    with pytest.raises(ValueError, match=r"weight and linear.weight of this Tied share memory.*use one"):
        save_and_load(Tied(8, 3), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_class_with_other_tensors_now(tmp_path):
    register_head(Learned)
    lz.losses.save_head(Learned(8, 3), tmp_path)

    class Changed(Plain):
        def __init__(self, embedding_dim, num_classes, *, groups=2):
            super().__init__(embedding_dim, num_classes)

    Changed.__name__ = "Learned"
    base_head._HEADS["Learned"] = Changed
    with pytest.raises(ValueError, match=r"not hold the tensors of a Learned(?s:.*)log_scale"):
        lz.load_head(tmp_path)


def test_arguments_are_passed_on_by_kwargs(tmp_path):
    head = Tempered(8, 3, temperature=0.5, margin=0.2)
    assert "temperature=0.5" in repr(head)
    assert "margin=0.2" in repr(head)
    loaded = save_and_load(head, tmp_path)
    assert (loaded.temperature, loaded.margin, loaded.scale) == (0.5, 0.2, 64.0)


def test_an_argument_that_is_not_kept(tmp_path):
    class Forgetful(Plain):
        def __init__(self, embedding_dim, num_classes, *, temperature=1.0):
            super().__init__(embedding_dim, num_classes)

    assert repr(Forgetful(8, 3)) == "Forgetful(embedding_dim=8, num_classes=3)"
    with pytest.raises(TypeError, match=r"does not keep its argument temperature.*self.temperature = temp"):
        save_and_load(Forgetful(8, 3), tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("value", [torch.ones(3), torch.float16, {"a": {1}}])
def test_an_argument_that_json_cannot_hold(tmp_path, value):
    class Odd(Plain):
        def __init__(self, embedding_dim, num_classes, *, prior=None):
            super().__init__(embedding_dim, num_classes)
            self.prior = prior

    with pytest.raises(TypeError, match=rf"argument prior of Odd is a {type(value).__name__},.*not_saved"):
        save_and_load(Odd(8, 3, prior=value), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_way_out_for_a_tensor(tmp_path):
    class Prior(Plain):
        not_saved = lz.losses.Head.not_saved | {"prior"}

        def __init__(self, embedding_dim, num_classes, *, prior=None):
            super().__init__(embedding_dim, num_classes)
            self.register_buffer("prior", torch.zeros(num_classes, 2) if prior is None else prior)

    loaded = save_and_load(Prior(8, 3, prior=torch.ones(3, 2)), tmp_path)
    assert torch.equal(loaded.prior, torch.ones(3, 2))


def define_again():
    @register_head
    class Again(Plain):
        pass

    return Again


def test_a_cell_that_is_run_again(tmp_path):
    old, new = define_again()(8, 3), define_again()
    with pytest.raises(TypeError, match="Again was defined again after this object was made"):
        lz.losses.save_head(old, tmp_path)
    old.__class__ = new
    lz.losses.save_head(old, tmp_path)
    loaded, _ = lz.load_head(tmp_path)
    assert type(loaded) is new
    assert torch.equal(loaded.weight, old.weight)


def test_what_is_missing_is_said_when_a_head_is_registered():
    class Half(lz.losses.Head):
        def forward(self, embeddings, labels):
            return embeddings.sum()

    with pytest.raises(TypeError, match="Half must define cosine before it is registered"):
        register_head(Half)
    with pytest.raises(TypeError, match="Empty must define cosine, forward"):
        register_head(type("Empty", (lz.losses.Head,), {}))
    with pytest.raises(TypeError, match="abstract"):
        Half(8, 3)


def test_a_head_of_an_installed_plugin_is_found_first_thing(tmp_path):
    source = Path(__file__).read_text()
    start, end = source.index("class Plain"), source.index("class Learned")
    imports = "import landmarkzoo as lz, torch\nfrom torch import nn\nfrom torch.nn import functional as F\n"
    (tmp_path / "myheads.py").write_text(f"{imports}@lz.losses.register_head\n{source[start:end]}")
    info = tmp_path / "myheads-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: myheads\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[landmarkzoo.models]\nmyheads = myheads\n")
    save = "import myheads, landmarkzoo as lz; lz.losses.save_head(myheads.Plain(8, 3), 'saved')"
    load = "import landmarkzoo as lz; print(type(lz.load_head('local-dir:saved')[0]).__module__)"
    path = [f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(Path(lz.__file__).parents[1])!r}]"]
    for code, printed in ((save, ""), (load, "myheads")):
        command = [sys.executable, "-c", "\n".join([*path, code])]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == printed


@pytest.mark.parametrize("page", ["extending.md", "head.md"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_heads_of_the_guide_compute_in_float32(page, dtype):
    text = (GUIDE / page).read_text(encoding="utf-8")
    code = re.search(r"class (\w+)\(lz\.losses\.Head\):\n.*?(?=\n\n\n)", text, re.DOTALL)
    names = {"lz": lz, "torch": torch, "nn": nn, "Tensor": torch.Tensor}
    exec(code[0], names)
    head, x, y = names[code[1]](8, 3), torch.randn(5, 8), torch.tensor([0, 1, 2, 0, 1])
    for embeddings in (x, x.to(dtype)):
        expected = head.cosine(embeddings.float())
        for autocast in (False, True):
            with torch.autocast("cpu", dtype=dtype, enabled=autocast):
                cosine, loss = head.cosine(embeddings), head(embeddings, y)
            assert cosine.dtype == loss.dtype == torch.float32
            torch.testing.assert_close(cosine, expected, rtol=0, atol=1e-5)


def test_a_head_that_would_come_back_otherwise_is_not_saved(tmp_path):
    @register_head
    class Fixed(lz.losses.CosFace):
        def __init__(self, embedding_dim, num_classes, **kwargs):
            super().__init__(embedding_dim, num_classes, margin=0.1, **kwargs)

    @register_head
    class Tenfold(lz.losses.CosFace):
        def __init__(self, embedding_dim, num_classes, *, scale=2.0, **kwargs):
            super().__init__(embedding_dim, num_classes, scale=10 * scale, **kwargs)

    with pytest.raises(ValueError, match=r"multiple values for keyword argument 'margin'.*not_saved"):
        lz.losses.save_head(Fixed(8, 3), tmp_path)
    with pytest.raises(ValueError, match=r"come back with scale=200\.0, not 20\.0"):
        lz.losses.save_head(Tenfold(8, 3), tmp_path)
    with pytest.raises(TypeError, match="class_names must be strings, got None"):
        lz.losses.save_head(lz.losses.CosFace(8, 2), tmp_path, ["a", None])
    assert list(tmp_path.iterdir()) == []
