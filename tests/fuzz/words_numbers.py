"""Words and numbers that users give: the right depth, or one line before anything is computed."""

import json
from decimal import Decimal
from fractions import Fraction

import numpy as np
import torch

import depthclip_core as dc
from depthclip_core.choices import CHOICES, check_values
from depthclip_core.clip.library import load_open_clip
from depthclip_core.encoding.vectors import sentence_vectors, text_vectors
from depthclip_core.evaluation.fitting import fit_bins
from depthclip_core.evaluation.map_files import open_maps
from depthclip_core.evaluation.protocols import Protocol
from depthclip_core.evaluation.scoring import score
from depthclip_core.evaluation.search import search
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.method.photo_depths import resolve_setting
from depthclip_core.method.pipeline import depth_maps
from depthclip_core.method.similarities import bin_weights
from depthclip_core.settings import (
    MAX_DEPTH,
    Window,
    checkout_folder,
    logit_factor,
    resolve_bins,
    resolve_prompts,
)
from depthclip_core.workbook.plans import plan
from depthclip_core.workbook.runs import run
from fuzz.cases import case

load_open_clip()  # takes seconds: once, not in every trial
ENCODER = dc.load_encoder("sample").built()
NOTEBOOK = checkout_folder() / "notebooks" / "00_pipeline.ipynb"
SMALL = Protocol((64, 96), Window(0, 64, 0, 96), Window(0, 64, 0, 96), 1e-3, MAX_DEPTH, None, True)
# Compiles the scoring kernel, which takes seconds: once, not in every trial.
ONES = np.ones((1, 64, 96), np.float32)
for method in ("median", "least-squares"):
    fit_bins(ONES, torch.zeros(1, 2, 3, 2, 3), method, protocol=SMALL)
sweep(ONES, torch.zeros(1, 2, 3, 2, 3), np.ones((1, 3)), protocols=[SMALL])
NAN, INF = float("nan"), float("inf")
NO_NUMBERS = [None, "", "x", "1", True, False, 1j, [], [1], {}, b"1", object(), np.array("x")]
NO_NUMBERS += [NAN, INF, -INF, -1, 0, -0.0, np.nan, np.float32("inf"), Decimal("NaN"), np.bool_(1)]
HUGE = [10**400, 1e308, 1e39, np.float64(1e300), Fraction(10) ** 400]
TINY = [1e-45, 5e-324, 1e-320, Fraction(1, 10**400), np.float64(1e-308)]


def chosen(random: np.random.Generator, options: list) -> object:
    return options[random.integers(len(options))]


def picture(random: np.random.Generator, n: int = 1) -> np.ndarray:
    return random.integers(0, 256, (n, 64, 96, 3), dtype=np.uint8)


# --- numbers of the method -----------------------------------------------------------------------


@case("error", says="temperature|logit_scale", times=25)
def temperature_or_scale(folder, random):
    value = chosen(random, NO_NUMBERS + HUGE + TINY)
    frames, name = picture(random), str(random.choice(["temperature", "logit_scale"]))
    calls = [
        lambda: dc.predict_depth(frames, ENCODER, head="value", **{name: value}),
        lambda: logit_factor(**{"temperature": 0.1, name: value}),
        lambda: resolve_setting(temperature=value),
        lambda: bin_weights(torch.zeros(1, 2, 3, 3), value),
        lambda: sweep([], torch.zeros(0, 2, 2, 2, 3), np.ones((1, 2)), [value], [SMALL]),
    ]
    return chosen(random, calls)


@case("right", times=12)
def temperature_within_floats(folder, random):
    """Weights as a plain softmax in float64 gives them, however small or large the temperature."""
    temperature = float(10 ** random.uniform(-20, 20))
    similarities = random.normal(size=(1, 4, 2, 3)).clip(-1, 1).astype(np.float32)

    def call():
        found = bin_weights(torch.from_numpy(similarities), temperature).numpy()
        logits = similarities.astype(np.float64) * (100 / temperature)
        expected = np.exp(logits - logits.max(1, keepdims=True))
        expected /= expected.sum(1, keepdims=True)
        # Rounded logits move a weight by as much as they are large.
        slack = 1e-6 + np.minimum(1, np.abs(logits).max(1, keepdims=True) * 2e-7)
        assert (np.abs(found - expected) <= slack).all()

    return call


def _odd_bins(random: np.random.Generator) -> object:
    one = chosen(random, NO_NUMBERS + HUGE + TINY)
    millimetres = [1000, 1500, 2000, 2500, 3000, 3500, 4000.0]
    return chosen(
        random,
        [
            one,
            [1, 2, 3, 4, 5, 6, one],
            [1, 2, 3],
            [],
            "1,2,,3",
            "1e999,2,3,4,5,6,7",
            "nan,2,3,4,5,6,7",
            ",".join(["1"] * 100000),
            {1.0, 2, 3, 4, 5, 6, 7},
            dict.fromkeys(range(1, 8)),
            np.ones((7, 1)),
            np.full(7, 1e39),
            np.array([1, 2, 3, 4, 5, 6, 7]) * 1j,
            torch.full((7,), torch.inf),
            millimetres,
            ",".join(map(str, millimetres)),
            np.array(millimetres, np.uint16),
            "orignal",
        ],
    )


@case("error", says="bins|depths|partitions", times=40)
def bins(folder, random):
    value, frames = _odd_bins(random), picture(random)
    calls = [
        lambda: resolve_bins(value, 7),
        lambda: dc.predict_depth(frames, ENCODER, bins=value, head="value"),
        lambda: resolve_setting(bins=value),
        lambda: sweep([], torch.zeros(0, 2, 7, 2, 3), {"a": value}, protocols=[SMALL]),
    ]
    named = isinstance(value, str) and not value.startswith("orig")
    return chosen(random, calls[: 3 if named or isinstance(value, str) else 4])


@case("right", times=12)
def bins_of_every_kind(folder, random):
    depths = np.sort(10 ** random.uniform(-3, 2, 7))
    kinds = [tuple(depths), depths, list(depths), ", ".join(map(repr, map(float, depths)))]
    kinds += [
        torch.from_numpy(depths),
        (float(d) for d in depths),
        [Fraction(float(d)) for d in depths],
    ]
    value = chosen(random, kinds)
    similarities = torch.from_numpy(random.uniform(-1, 1, (1, 2, 7, 2, 3)).astype(np.float32))

    def call():
        found = resolve_bins(value, 7)
        assert np.array_equal(found, depths)
        maps = depth_maps(similarities, found, (2, 3))
        logits = similarities.double().numpy() * 1000
        weights = np.exp(logits - logits.max(2, keepdims=True))
        weights /= weights.sum(2, keepdims=True)
        of_views = np.einsum("bvkhw,k->bvhw", weights, depths)
        expected = (of_views[:, 0] + of_views[:, 1, :, ::-1]) / 2
        assert np.allclose(maps, expected, rtol=1e-3)

    return call


@case("either", times=20)
def batch_and_head(folder, random):
    frames, odd = picture(random, 2), chosen(random, NO_NUMBERS + HUGE + TINY + [1, 2, 10**9])
    name = str(random.choice(["batch_size", "head", "crop", "encoder", "protocol"]))

    def call():
        if name == "protocol":
            return dc.evaluate(np.ones((1, 64, 96)), np.ones((1, 64, 96)), odd)
        arguments = {"frames": frames, "encoder": ENCODER, "head": "value"} | {name: odd}
        maps = dc.predict_depth(**arguments)
        again = dc.predict_depth(frames, ENCODER, head="value", batch_size=1)
        assert np.allclose(maps, again, atol=1e-3)

    return call


@case("error", times=20)
def frames_of_another_kind(folder, random):
    good = picture(random, 2)
    odd = [good[0], good[..., :2], good / 255.0, good.astype(np.uint16), good.astype(np.int64)]
    odd += [
        list(good[:, :, :5]),
        [good[0], good[1, :9]],
        "photo.png",
        None,
        3,
        [],
        {},
        good.tolist(),
    ]
    odd += [np.array([]), good[:, :0], good[:, :9, :9], good > 3, torch.ones(1, 64, 96, 3)]
    frames = chosen(random, odd)
    return lambda: dc.predict_depth(frames, ENCODER, head="value")


# --- words ---------------------------------------------------------------------------------------


@case("error", says="tokens", times=10)
def text_beyond_the_context(folder, random):
    word = chosen(random, ["very " * 90 + "far", "a" * 10**6, "远" * 80, "x " * 5000, "🙂" * 60])
    frames = picture(random)
    calls = [
        lambda: dc.predict_depth(frames, ENCODER, ["near", word], [1, 2], head="value"),
        lambda: ENCODER.text_vectors([word]),
        lambda: ENCODER.encode_text(["near", word]),
        lambda: text_vectors(ENCODER, ["near", word]),
        lambda: sentence_vectors(ENCODER, [word]),
    ]
    return chosen(random, calls)


@case("right", times=6)
def text_up_to_the_context(folder, random):
    """The vectors of long sentences equal those of open_clip's own model and tokenizer."""
    import open_clip

    limit = ENCODER.configuration.context
    n = limit - 2 - int(random.integers(0, 4))
    sentences = ["far " * n, "near", "é" * 5, "&lt;b&gt; far", "  far   away  "]

    def call():
        found = ENCODER.encode_text(sentences)
        tokens = open_clip.get_tokenizer("sample")(sentences)
        expected = ENCODER.model.encode_text(tokens, normalize=True)
        assert torch.allclose(found, expected, atol=1e-6)

    return call


@case("right")
def many_words(folder, random):
    """They are encoded in batches of a bounded size, and each word as if it were alone."""
    words = [f"{n} metres away" for n in range(600)]
    sizes, encode = [], ENCODER.model.encode_text
    ENCODER.model.encode_text = lambda tokens: sizes.append(len(tokens)) or encode(tokens)

    def call():
        vectors = ENCODER.text_vectors(words)
        assert vectors.shape == (600, ENCODER.width) and max(sizes) <= 256
        assert torch.allclose(vectors[254:259], ENCODER.text_vectors(words[254:259]), atol=1e-5)

    return call


@case("error", says="prompts|word|templates?|texts", times=40)
def words(folder, random):
    odd = [None, 3, "", " ", ",", "near,,far", [], [""], [None], ["near", 3], {"near", "far"}, b"a"]
    odd += [{"near": 1}, ["near", "\udcff"], ["a\0b"], "orignal", [["near"]], object(), np.ones(2)]
    value, frames = chosen(random, odd), picture(random)
    templates = ["{size}", "{", "{0}", "{distance.__class__}", "no field", "{distance!r}", 3]
    template = chosen(random, [[t] for t in templates] + [[], "{distance}"])
    calls = [
        lambda: resolve_prompts(value),
        lambda: dc.predict_depth(frames, ENCODER, value, [1, 2], head="value"),
        lambda: text_vectors(ENCODER, value),
        lambda: resolve_setting(prompts=value),
        lambda: ENCODER.text_vectors(["near"], template),
        lambda: ENCODER.encode_text(chosen(random, ["near", [3], [None]])),
    ]
    return chosen(random, calls)


@case("right", times=8)
def odd_words(folder, random):
    """Words of any script, with braces and markup, are words: their vectors are finite and unit."""
    letters = "abc {}%&<>\\\"'\n\t\r\u200b\u202eéß远🙂١\x1b"
    made = ["".join(random.choice(list(letters), random.integers(1, 9))) + "x" for _ in range(4)]

    def call():
        vectors = ENCODER.text_vectors(made)
        assert torch.allclose(vectors.norm(dim=-1), torch.ones(4), atol=1e-5)

    return call


# --- units ---------------------------------------------------------------------------------------


@case("error", says="metres", times=30)
def millimetres(folder, random):
    """Depth in millimetres, whole or floating, is noticed wherever depth comes in."""
    truth = random.uniform(1, 8, (1, 64, 96)).astype(np.float32)
    depth = random.uniform(1, 8, (1, 64, 96)).astype(np.float32)
    unit = chosen(random, [np.uint16, np.int32, np.float32, np.float64])
    wrong, sim = (truth * 1000).astype(unit), torch.zeros(1, 2, 3, 2, 3)
    if np.dtype(unit).kind == "f" and random.integers(2):  # a few pixels as near as the lens
        wrong[0, :3] = 5
    bins = np.ones((1, 3))
    calls = [
        lambda: dc.evaluate(wrong, truth, SMALL),
        lambda: dc.evaluate(depth, wrong, SMALL),
        lambda: dc.best_constants(wrong, SMALL),
        lambda: dc.lower_bound(wrong, "pixel", SMALL),
        lambda: dc.lower_bound(wrong, "image", SMALL),
        lambda: sweep(wrong, sim, bins, protocols=[SMALL]),
        lambda: fit_bins(wrong, sim, protocol=SMALL),
        lambda: fit_bins(wrong, sim, "least-squares", protocol=SMALL),
    ]
    return chosen(random, calls)


@case("right", times=10)
def metres(folder, random):
    """Scores of random maps, in either byte order and precision, equal the formulas written out."""
    depth, truth = random.uniform(0, 12, (2, 1, 64, 96)).astype(np.float32)
    truth[random.random(truth.shape) < 0.2] = 0
    kind = str(random.choice(["<f4", ">f4", "<f8", ">f8"]))

    def call():
        (row,) = dc.evaluate(depth.astype(kind), truth.astype(kind), SMALL).to_dict("records")
        counts = (truth > 1e-3) & (truth < 10) & (depth > 1e-3)
        p, g = depth[counts].astype(float).clip(1e-3, 10), truth[counts].astype(float)
        expected = {
            "delta1": (np.maximum(p / g, g / p) < 1.25).mean(),
            "abs_rel": (abs(p - g) / g).mean(),
            "log10": abs(np.log10(p) - np.log10(g)).mean(),
            "rmse": np.sqrt(((p - g) ** 2).mean()),
            "n_pixels": counts.sum(),
        }
        assert all(np.isclose(row[name], value, rtol=1e-6) for name, value in expected.items())

    return call


@case("error", says="divisor|stored units|metres", times=12)
def divisors(folder, random):
    np.save(folder / "a.npy", np.ones((4, 5), np.float32))
    value = chosen(random, [*NO_NUMBERS, Fraction(10) ** 400, *TINY])
    return lambda: open_maps(folder, ["a"], divisor=value)[0]


# --- options of commands -------------------------------------------------------------------------


def planned(folder, **values: str):
    given = {"types": CHOICES, "check": check_values, "text": True}
    return lambda: plan(NOTEBOOK, values, {}, folder / "out", **given)


@case("error", says="parameter|temperature|bins|prompts|word|metres", times=40)
def parameters(folder, random):
    deep = "[" * 100000
    pairs = [
        (
            "temperature",
            chosen(random, ["0", "-1", "nan", "inf", "1e-320", "1e400", "x", "", deep]),
        ),
        ("temperature", chosen(random, ["1_0", "٣", "True", "None", "1,2", "0x1", "1e-39"])),
        ("bins", chosen(random, ["1,2", "[1, 2]", deep, f"[{'9' * 5000}]", "[1e999]", "nan"])),
        ("bins", chosen(random, ["1000,2000,3000,4000,5000,6000,7000", "[true]", "[[1]]", "{}"])),
        ("prompts", chosen(random, [deep, "", ",", "[]", "[1]", '["a", null]', "orignal"])),
        ("frame", chosen(random, ["1.5", "x", "9" * 5000, "", "1e3", deep])),
        ("head", chosen(random, ["valeu", "", "None", deep, "Value"])),
        ("nonsense", "1"),
        ("dataset", chosen(random, ["nuy", "", "sample\n"])),
    ]
    name, value = chosen(random, pairs)
    return planned(folder, **{name: value})


@case("error", says="grid|runs|values|parameter|metres|list|bins|temperature", times=12)
def grids(folder, random):
    many = ",".join(map(str, range(1, 1001)))
    options = [
        {"temperature": many, "frame": many},
        {"frame": many, "temperature": many, "device": many, "data": many},
        {"frame": "1,1"},
        {"frame": ""},
        {"frame": "[" * 100000},
        {"bins": "[[1, 2], [1]]"},
        {"frame": "[1, 2"},
        {"temperature": "0.1,0"},
        {"temperature": json.dumps([10**400])},
    ]
    grid = options[random.integers(len(options))]
    given = {"types": CHOICES, "check": check_values, "text": True}
    return lambda: plan(NOTEBOOK, {}, grid, folder / "out", **given)


@case("error", says="timeout|workers", times=8)
def timeouts(folder, random):
    plans = plan(NOTEBOOK, {}, {}, folder / "out", types=CHOICES)
    name = str(random.choice(["timeout", "workers"]))
    value = chosen(random, [0, -1, NAN, INF, -INF, 1e300] if name == "timeout" else [0, -3])
    return lambda: run(plans, **{name: value})


@case("either", times=12)
def devices(folder, random):
    names = ["cuda:99", "cpu:0", "meta", "", "x", "cuda:-1", "cuda:9" * 9, None, 3, 1.5, [], "mps"]
    names += ["cpu:99999999999999999999", "\0", "cpu\n", b"cpu", "CPU", "privateuseone", object()]
    name = chosen(random, names)
    return lambda: dc.load_encoder("sample", device=name)


@case("error", times=16)
def encoder_options(folder, random):
    odd = [3, 1.5, "", "x", [], {}, "fp8", "FP16", b"fp32", object(), "../RN50", "a" * 1000, "\0"]
    name, value = str(random.choice(["name", "precision"])), chosen(random, odd)
    return lambda: dc.load_encoder(**{name: value})


@case("either", times=12)
def searches(folder, random):
    frames = dc.open_dataset("sample")
    similarities = torch.zeros(len(frames), 2, 2, 3, 4)
    odd = {"limits": (NAN, 3), "n_pixels": 0, "finalists": -1, "metric": "delta9", "temperature": 0}
    odd |= {"scene": "nowhere", "protocol": "btss"}
    name = str(random.choice(list(odd)))
    return lambda: search(frames, similarities, **{name: odd[name]})


@case("error", times=8)
def scoring(folder, random):
    frames = dc.open_dataset("sample")
    n = len(frames)
    odd = [
        lambda: score(frames, torch.full((n, 2, 2, 3, 4), torch.nan), [1, 2]),
        lambda: score(frames, torch.zeros(n - 1, 2, 2, 3, 4), [1, 2]),
        lambda: score(frames, torch.zeros(n, 2, 2, 3, 4), [1, 2, 3]),
        lambda: score(frames, torch.zeros(n, 2, 2, 3, 4), [1, 2], temperature=0),
    ]
    return odd[random.integers(len(odd))]
