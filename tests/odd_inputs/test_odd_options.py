"""The options of all commands with values that they cannot have."""

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
    Command("nothing at all", "", "the following arguments are required: COMMAND (landmarkzoo"),
    Command(
        "unknown command with accents",
        "s\u00e9arch a b",
        "argument COMMAND: invalid choice: 's\u00e9arch' (choose from",
    ),
    Command(
        "unknown option", f"{SEARCH} --kk 5", "unrecognized arguments: --kk 5 (landmarkzoo --help shows all)"
    ),
    Command("abbreviated option", f"{SEARCH} --dev cpu", out="bridge/1.png"),
    Command(
        "k missing value", f"{SEARCH} -k", "argument -k: expected one argument (landmarkzoo search --help"
    ),
    Command("k empty", f"{SEARCH} -k ''", "argument -k: invalid int value: '' (landmarkzoo search --help"),
    Command("k arabic digits", f"{SEARCH} -k \u0663", out="bridge/1.png"),
    Command("k of 5000 digits", f"{SEARCH} -k {'9' * 5000}", "argument -k: invalid int value:"),
    Command(
        "k of 30 digits",
        f"{SEARCH} -k {'9' * 30}",
        "k must be a positive integer that fits into 64 bits, got",
    ),
    Command("k float", f"{SEARCH} -k 2.0", "argument -k: invalid int value: '2.0' (landmarkzoo search"),
    Command("k with underscore", f"{SEARCH} -k 1_0", out="bridge/1.png"),
    Command("k hex", f"{SEARCH} -k 0x10", "argument -k: invalid int value: '0x10' (landmarkzoo search"),
    Command("k -1", f"{SEARCH} -k=-1", "k must be a positive integer, got -1"),
    Command("k twice", f"{SEARCH} -k 1 -k 2", out="bridge/1.png"),
    Command(
        "k newline", f"{SEARCH} -k '1\n2'", "argument -k: invalid int value: '1\\n2' (landmarkzoo search"
    ),
    Command("device empty", f"{SEARCH} --device ''", "device is empty: was a variable of the shell not set?"),
    Command(
        "device meta",
        f"{SEARCH} --device meta",
        "cannot compute on the device 'meta': Cannot copy out of meta",
    ),
    Command("device cpu 7", f"{SEARCH} --device cpu:7", out="bridge/1.png"),
    Command(
        "device cuda -1",
        f"{SEARCH} --device cuda:-1",
        "cannot compute on the device 'cuda:-1': Invalid device",
    ),
    Command(
        "device cuda many",
        f"{SEARCH} --device cuda:99999999999",
        "cannot compute on the device 'cuda:99999999999': Could not",
    ),
    Command(
        "device emoji",
        f"{SEARCH} --device \U0001f5ff",
        "cannot compute on the device '🗿': Invalid device string: '🗿'.",
    ),
    Command(
        "device newline",
        f"{SEARCH} --device 'c\npu'",
        "cannot compute on the device 'c\\npu': Invalid device string:",
    ),
    Command("device mps", f"{SEARCH} --device mps", "cannot compute on the device 'mps': Could not run"),
    Command("device xla", f"{SEARCH} --device xla", "cannot compute on the device 'xla': Could not run"),
    Command("device hpu", f"{SEARCH} --device hpu", "cannot compute on the device 'hpu': No module named"),
    Command(
        "device privateuseone",
        f"{SEARCH} --device privateuseone",
        "cannot compute on the device 'privateuseone': No module named",
    ),
    Command(
        "device vulkan", f"{SEARCH} --device vulkan", "cannot compute on the device 'vulkan': Could not run"
    ),
    Command(
        "device mtia",
        f"{SEARCH} --device mtia",
        "cannot compute on the device 'mtia': Torch not compiled with",
    ),
    Command(
        "device xpu", f"{SEARCH} --device xpu", "cannot compute on the device 'xpu': Torch not compiled with"
    ),
    Command("device maia", f"{SEARCH} --device maia", "cannot compute on the device 'maia': Could not run"),
    Command("device lazy", f"{SEARCH} --device lazy", "cannot compute on the device 'lazy': Could not run"),
    Command(
        "device number",
        f"{SEARCH} --device 0",
        "cannot compute on the device '0': Invalid device string: '0'.",
    ),
    Command(
        "device upper", f"{SEARCH} --device CPU", "cannot compute on the device 'CPU': Expected one of cpu,"
    ),
    Command(
        "embed device meta",
        f"{EMBED} --device meta",
        "cannot compute on the device 'meta': Cannot copy out of meta",
    ),
    Command(
        "embed device lazy", f"{EMBED} --device lazy", "cannot compute on the device 'lazy': Could not run"
    ),
    Command("embed device cpu 7", f"{EMBED} --device cpu:7", out="6 photos, 8", writes=("x.st",)),
    Command(
        "precision empty",
        f"{EMBED} --precision ''",
        "precision is empty: was a variable of the shell not set?",
    ),
    Command(
        "precision float64",
        f"{EMBED} --precision float64",
        "precision must be one of ('auto', 'float32', 'bfloat16',",
    ),
    Command(
        "precision upper",
        f"{EMBED} --precision BFLOAT16",
        "precision must be one of ('auto', 'float32', 'bfloat16',",
    ),
    Command(
        "report needs photos",
        f"{SEARCH} --report r.html",
        "--report needs the photos: --photos DIR, and --query-photos",
    ),
    Command(
        "report photos is a file",
        f"{SEARCH} --report r.html --photos index.st",
        "--report: no such folder of photos: index.st",
    ),
    Command(
        "report out same",
        f"{SEARCH} --out r --report ./r --photos photos",
        "--out and --report are both r: give each a name of its own",
    ),
    Command(
        "report named png",
        f"{SEARCH} --report r.png --photos photos",
        "cannot write a report to r.png: that is the name of a photo;",
    ),
    Command("report twice", f"{SEARCH} --report a --report r.html --photos photos", writes=("r.html",)),
    Command(
        "method unknown",
        f"{RERANK} --method DIFFUSION",
        "argument --method: invalid choice: 'DIFFUSION' (choose from",
    ),
    Command("neighbors 0", f"{RERANK} --neighbors 0", "--neighbors must be a positive integer, got 0"),
    Command(
        "neighbors -3",
        f"{RERANK} --method k-reciprocal --neighbors=-3",
        "--neighbors must be a positive integer, got -3",
    ),
    Command(
        "neighbors huge",
        f"{RERANK} --neighbors {10**25}",
        "--neighbors must be a positive integer that fits into 64",
    ),
    Command(
        "shortlist 0",
        f"{RERANK} --method superglobal --shortlist 0",
        "--shortlist must be a positive integer, got 0",
    ),
    Command("shortlist 50 superglobal", f"{RERANK} --method superglobal --shortlist 50", out="bridge/1.png"),
    Command(
        "neighbors 50 k-reciprocal",
        f"{RERANK} --method k-reciprocal --neighbors 50",
        out="bridge/1.png",
        warns="warning: --neighbors 50: there are 6 index",
    ),
    Command(
        "k huge diffusion",
        f"{RERANK} -k {10**25}",
        "k must be a positive integer that fits into 64 bits, got",
    ),
    Command(
        "k huge query expansion",
        f"{RERANK} --method query-expansion -k {10**25}",
        "k must be a positive integer that fits into 64 bits, got",
    ),
    Command(
        "k huge augmentation",
        f"{RERANK} --method augmentation --neighbors {10**25}",
        "--neighbors must be a positive integer that fits into 64",
    ),
    Command("soft without labels", f"{RERANK} --method soft --train index.st", out="tower"),
    Command(
        "soft with itself as train and 1e25",
        f"{RERANK} --method soft --train index.st --neighbors {10**25}",
        "--neighbors must be a positive integer that fits into 64",
    ),
    Command(
        "hard k huge",
        f"{RERANK} --method hard --train index.st -k {10**25}",
        "k must be a positive integer that fits into 64 bits, got",
    ),
    Command(
        "train for diffusion",
        f"{RERANK} --train index.st",
        "--train and --labels are for soft and hard, not for diffusion",
    ),
    Command(
        "labels without train",
        f"{RERANK} --method soft --labels labels.csv",
        "--method soft needs --train, photos whose landmarks are known",
    ),
    Command("threshold nan", f"{RECOGNIZE} --threshold nan", "--threshold must be a number, got nan"),
    Command("threshold -inf", f"{RECOGNIZE} --threshold=-inf", out="bridge/1.png"),
    Command(
        "threshold inf",
        f"{RECOGNIZE} --threshold inf --out a.csv",
        out="0 with a landmark",
        writes=("a.csv",),
    ),
    Command(
        "threshold comma",
        f"{RECOGNIZE} --threshold 0,5",
        "argument --threshold: invalid float value: '0,5' (landmarkzoo",
    ),
    Command(
        "recognize neighbors 1e25",
        f"{RECOGNIZE} --neighbors {10**25}",
        out="bridge/1.png",
        warns="warning: --neighbors 10000000000000000000000000:",
    ),
    Command(
        "recognize neighbors 0", f"{RECOGNIZE} --neighbors 0", "neighbors must be a positive integer, got 0"
    ),
    Command(
        "worst text", f"{EVALUATE} --worst all", "argument --worst: invalid int value: 'all' (landmarkzoo"
    ),
    Command("worst of 26 digits", f"{EVALUATE} --worst {10**25}", out="Lowest"),
    Command(
        "dataset unknown",
        f"{EVALUATE} --dataset oxford5k",
        "argument --dataset: invalid choice: 'oxford5k' (choose from",
    ),
    Command(
        "evaluate same twice", f"{EVALUATE} index.st", "the parts of concat must be of different photos, but"
    ),
    Command(
        "evaluate dataset oxford nothing",
        f"{EVALUATE} --dataset oxford",
        "no gnd_roxford5k.pkl: looked for photos/gnd_roxford5k.pkl and",
    ),
    Command(
        "evaluate dataset gldv2 nothing",
        f"{EVALUATE} --dataset gldv2-retrieval",
        "no index.csv: looked for photos/index.csv and",
    ),
    Command("gldv2 out missing", "gldv2 photos --out no", "cannot write to no: the folder does not exist"),
    Command(
        "gldv2 nothing there",
        "gldv2 photos --out .",
        "no train_clean.csv: looked for photos/train_clean.csv and",
    ),
    Command("gldv2 out empty", "gldv2 . --out ''", "out is empty: was a variable of the shell not set?"),
    Command("convert no out", CONVERT, "give the folder to write once: OUT_DIR or --out DIR"),
    Command(
        "convert two outs", f"{CONVERT} a --out b", "give the folder to write once: OUT_DIR or --out DIR"
    ),
    Command("convert out empty", f"{CONVERT} --out ''", "out is empty: was a variable of the shell not set?"),
    Command(
        "convert set nothing", f"{CONVERT} o --set ''", "set is empty: was a variable of the shell not set?"
    ),
    Command(
        "convert set number",
        f"{CONVERT} o --set 1=2",
        "--set takes NAME=VALUE, such as stem_stride=1, got '1=2'",
    ),
    Command("convert set keyword", f"{CONVERT} o --set lambda=2", "there is no checkpoint ckpt.pth"),
    Command(
        "demo landmarks 0", "demo --landmarks 0", "landmarks must be a whole number of at least 1, got 0"
    ),
    Command(
        "demo views huge",
        f"demo --views {10**25} --landmarks 2",
        "2 landmarks x 10000000000000000000000000 views and 2",
    ),
    Command(
        "demo landmarks huge",
        f"demo --landmarks {10**25}",
        "10000000000000000000000000 landmarks x 12 views and",
    ),
    Command(
        "demo seed -1",
        "demo --seed=-1 --landmarks 2 --views 4",
        "seed must be a whole number of at least 0, got -1",
    ),
    Command("demo out is a model", "demo --photos photos --out model", "cannot write model: it is a folder"),
    Command(
        "demo out in photos",
        "demo --photos photos --out photos/tower/9.png",
        "cannot write a picture of rankings to photos/tower/9.png:",
    ),
    Command(
        "models filter bracket", "models '['", "no model fits '['; 'landmarkzoo models' lists all models"
    ),
    Command("models filter empty", "models ''", "filter is empty: was a variable of the shell not set?"),
    Command(
        "models filter escape",
        "models '\x1b[2J'",
        "no model fits '\\x1b[2J'; 'landmarkzoo models' lists all models",
    ),
    Command("models two filters", "models a b", "unrecognized arguments: b (landmarkzoo --help shows all)"),
]


@pytest.mark.parametrize("case", params(CASES))
def test_odd_option(case, world, capsys):
    case.check(world, capsys)
