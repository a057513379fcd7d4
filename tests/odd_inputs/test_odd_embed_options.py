"""The options of the command embed, and outputs, with values that they cannot have."""

import pytest
from odd_cases import Command, params

EMBED = "embed photos --model local-dir:model --out x.st"
SEARCH = "search query.st index.st"
RERANK = "rerank query.st index.st"
RECOGNIZE = "recognize query.st index.st"
EVALUATE = "evaluate photos index.st"
REPORT = f"{SEARCH} --report r.html --photos photos"
CONVERT = "convert ckpt.pth dolg_efficientnet_b5"

CASES = [
    Command(
        "image size 1", f"{EMBED} --image-size 1", "images are 1x1 px; this backbone needs at least 32x32 px:"
    ),
    Command(
        "image size -5",
        f"{EMBED} --image-size -5",
        "image_size must be a side or (height, width) in pixels, got -5",
    ),
    Command(
        "image size 1e3",
        f"{EMBED} --image-size 1e3",
        "argument --image-size: invalid int value: '1e3' (landmarkzoo",
    ),
    Command(
        "image size 2**63",
        f"{EMBED} --image-size 9223372036854775808",
        "image_size must be at most 16,384 pixels a side, got",
    ),
    Command(
        "image size pair", f"{EMBED} --image-size 32x32", "argument --image-size: invalid int value: '32x32'"
    ),
    Command(
        "scales empty", f"{EMBED} --scales ''", "argument --scales: numbers with commas between them are"
    ),
    Command(
        "scales comma", f"{EMBED} --scales 1,,2", "argument --scales: numbers with commas between them are"
    ),
    Command("scales nan", f"{EMBED} --scales nan", "scales must be positive numbers, such as (0.7071, 1.0,"),
    Command(
        "scales inf", f"{EMBED} --scales 1,inf", "scales must be positive numbers, such as (0.7071, 1.0,"
    ),
    Command("scales zero", f"{EMBED} --scales 0", "scales must be positive numbers, such as (0.7071, 1.0,"),
    Command(
        "scales negative", f"{EMBED} --scales=-1", "scales must be positive numbers, such as (0.7071, 1.0,"
    ),
    Command("scales tiny", f"{EMBED} --scales 1e-9", "scale 1e-09 is too small: images of less than a pixel"),
    Command(
        "scales 1e300",
        f"{EMBED} --scales 1e300",
        "scale 1e+300 is too large: images of more than 16,384 pixels",
    ),
    Command(
        "scales semicolon",
        f"{EMBED} --scales '1;2'",
        "argument --scales: numbers with commas between them are",
    ),
    Command("scales twice the same", f"{EMBED} --scales 1,1", out="6 photos, 8", writes=("x.st",)),
    Command("batch size huge", f"{EMBED} --batch-size {10**18}", out="6 photos, 8", writes=("x.st",)),
    Command(
        "batch size beyond",
        f"{EMBED} --batch-size {10**30}",
        "batch_size must be a positive integer that fits into 64 bits,",
    ),
    Command("batch size 0", f"{EMBED} --batch-size 0", "batch_size must be a positive integer, got 0"),
    Command(
        "workers float", f"{EMBED} --workers 1.5", "argument --workers: invalid int value: '1.5' (landmarkzoo"
    ),
    Command(
        "model empty",
        "embed photos --out x.st --model ''",
        "model is empty: was a variable of the shell not set?",
    ),
    Command(
        "model spaces",
        "embed photos --out x.st --model ' '",
        "landmarkzoo has no model ' '. See lz.list_models() or landmarkzoo models.",
    ),
    Command(
        "model local-dir nothing",
        "embed photos --out x.st --model local-dir:",
        "'local-dir:' names no folder: it is 'local-dir:path'",
    ),
    Command(
        "model local-dir here",
        "embed photos --out x.st --model local-dir:.",
        "no config.json in .: model.save_pretrained writes it",
    ),
    Command(
        "model local-dir twice",
        "embed photos --out x.st --model local-dir:local-dir:model",
        "'local-dir:local-dir:model': there is no folder",
    ),
    Command(
        "model with slash",
        "embed photos --out x.st --model model/",
        "'model/' does not name a saved model: a folder is",
    ),
    Command(
        "model hub nothing",
        "embed photos --out x.st --model hf-hub:",
        "'hf-hub:': a name on the Hub is 'hf-hub:org/repo' or",
    ),
    Command(
        "model hub dots",
        "embed photos --out x.st --model hf-hub:../..",
        "hf-hub:../..: '../..' cannot be a repository, whose name is",
    ),
    Command(
        "model hub long",
        f"embed photos --out x.st --model hf-hub:a/{'b' * 300}",
        "hf-hub:a/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    ),
    Command(
        "model hub revision empty",
        "embed photos --out x.st --model hf-hub:a/b@",
        "'hf-hub:a/b@': a name on the Hub is 'hf-hub:org/repo' or",
    ),
    Command(
        "model hub unicode",
        "embed photos --out x.st --model hf-hub:\u5854/\u5854",
        "hf-hub:\u5854/\u5854: '\u5854/\u5854' cannot be a repository, whose name is",
    ),
    Command(
        "model http",
        "embed photos --out x.st --model https://huggingface.co/a/b",
        "'https://huggingface.co/a/b' does not name a saved model: a",
    ),
    Command(
        "model of 10000 letters", f"embed photos --out x.st --model {'m' * 10000}", "landmarkzoo has no model"
    ),
    Command(
        "model newline",
        "embed photos --out x.st --model 'a\nb'",
        "landmarkzoo has no model 'a\\nb'. See lz.list_models() or landmarkzoo models.",
    ),
    Command(
        "model registered tag",
        "embed photos --out x.st --model efficientnet_lite0_gem.tag",
        "'efficientnet_lite0_gem.tag': there are no weights with the",
    ),
    Command(
        "model star",
        "embed photos --out x.st --model '*'",
        "landmarkzoo has no model '*'. See lz.list_models() or landmarkzoo models.",
    ),
    Command(
        "shrinkage nan",
        "embed photos --out x.st --whiten photos --shrinkage nan",
        "shrinkage must be from 0 to 1, a fraction of the largest",
    ),
    Command(
        "shrinkage inf",
        "embed photos --out x.st --whiten photos --shrinkage inf",
        "shrinkage must be from 0 to 1, a fraction of the largest",
    ),
    Command(
        "shrinkage -1",
        "embed photos --out x.st --whiten photos --shrinkage=-1",
        "shrinkage must be from 0 to 1, a fraction of the largest",
    ),
    Command(
        "shrinkage 5",
        "embed photos --out x.st --whiten photos --shrinkage 5",
        "shrinkage must be from 0 to 1, a fraction of the largest",
    ),
    Command(
        "whiten on own weights",
        f"{EMBED} --whiten photos",
        "--whiten is for ImageNet weights: this model has weights of",
    ),
    Command(
        "like with flip",
        f"{EMBED} --like index.st --flip",
        "--like takes --flip from the index: leave one of the two",
    ),
    Command(
        "like of arrays",
        "embed photos --out x.st --like index.st",
        "index.st does not say which model made it: give --model as",
    ),
    Command(
        "like a photo",
        "embed photos --out x.st --like photos/tower/0.png",
        "photos/tower/0.png is not a descriptors file, or it is",
    ),
    Command(
        "like a url",
        "embed photos --out x.st --like https://a/b.st",
        "https://a/b.st is an address: download it first, then give",
    ),
    Command(
        "photos url",
        "embed https://a/b.jpg --out x.st",
        "https://a/b.jpg is an address: download it first, then give",
    ),
    Command(
        "photos url in capitals",
        "embed HTTPS://a/b.jpg --out x.st",
        "HTTPS://a/b.jpg is an address: download it first, then give",
    ),
    Command("photos empty", "embed '' --out x.st", "photos is empty: was a variable of the shell not set?"),
    Command(
        "out empty",
        "embed photos --model local-dir:model --out ''",
        "out is empty: was a variable of the shell not set?",
    ),
    Command(
        "out with slash",
        "embed photos --model local-dir:model --out new/",
        "cannot write new/: a name that ends with / is that of a folder",
    ),
    Command(
        "out dot dot", "embed photos --model local-dir:model --out ..", "cannot write ..: it is a folder"
    ),
    Command(
        "out root",
        "embed photos --model local-dir:model --out /",
        "cannot write /: a name that ends with / is that of a folder",
    ),
    Command(
        "out 256 letters",
        f"embed photos --model local-dir:model --out {'o' * 256}",
        "cannot write ooooooooooooooooooooooooooo",
    ),
    Command(
        "out 255 letters",
        f"embed photos --model local-dir:model --out {'o' * 255}",
        writes=("o" * 255,),
        out="6 photos",
    ),
    Command("out 5000 letters", f"{SEARCH} --out {'o/' * 2500}", "cannot write o/o/o/o/o/o/o/o/o/o/o/o/o/o"),
    Command(
        "out with tilde nobody",
        "embed photos --model local-dir:model --out '~nobody-here/x'",
        "cannot write ~nobody-here/x: the folder ~nobody-here does not",
    ),
    Command(
        "out nul",
        SEARCH,
        "cannot write 'a\\x00b': no file can have this name (embedded",
        more=("--out", "a\0b"),
    ),
    Command("out surrogate", SEARCH, writes=("a\udcff.csv",), more=("--out", "a\udcff.csv"), out="2 queries"),
    Command(
        "out lone surrogate",
        SEARCH,
        "cannot write 'a\\ud800.csv': no file can have this name",
        more=("--out", "a\ud800.csv"),
    ),
    Command("out newline", SEARCH, writes=("a\nb.csv",), more=("--out", "a\nb.csv"), out="2 queries"),
    Command("out dash", f"{SEARCH} --out -", writes=("-",)),
]


@pytest.mark.parametrize("case", params(CASES))
def test_odd_option(case, world, capsys):
    case.check(world, capsys)
