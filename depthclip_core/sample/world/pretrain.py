"""Pretrain the sample's CLIP on pairs of an image and a sentence, and on nothing else.

`make pretrain` renders rooms with seeds that the sample data set does not use, cuts crops, captions
them (`captions`), and trains with CLIP's contrastive loss. There are two kinds of image: crops at
native scale with sentences on objects and distances, and whole photographs, resized as CLIP resizes
them, with sentences on scenes. Training starts with small images, which are fast, and ends with
larger ones, where fewer patch tokens lie at an edge.
"""

import hashlib
import math
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from tqdm.auto import tqdm

from depthclip_core.clip import heads
from depthclip_core.clip.encoders import MEAN, STD
from depthclip_core.clip.library import load_open_clip
from depthclip_core.clip.towers import resnet_cells
from depthclip_core.cores import usable_cores
from depthclip_core.files import write_whole
from depthclip_core.sample import model as sample_model
from depthclip_core.sample.world import DATA, captions
from depthclip_core.sample.world.render import render_view
from depthclip_core.sample.world.scene import OBJECT_NAMES
from depthclip_core.sample.world.ship import PRETRAIN_SEED_LIMIT
from depthclip_core.sample.world.world import SCENE_TYPES

BORDER = 8  # pixels that crops leave out at each edge: NYU's white border
SMALL_PART = 0.01  # a caption names only things that fill more than this fraction


@dataclass(frozen=True)
class Recipe:
    """Everything that the weights depend on besides the code."""

    views_per_scene: int = 48
    steps: int = 3000
    side: int = 96  # of the images in these steps, pixels
    large_steps: int = 400  # after that, at the model's own resolution
    large_side: int = 160
    batch: int = 64
    scene_share: float = 0.15  # fraction of whole photographs in a batch
    learning_rate: float = 7e-4  # three times this rate learns far more slowly
    weight_decay: float = 0.1
    warmup: int = 100
    seed: int = 0


@dataclass(frozen=True)
class Picture:
    """One rendered view as pretraining sees it."""

    rgb: np.ndarray  # (480, 640, 3) uint8
    small: dict[int, np.ndarray]  # by side: (side, side · 4/3, 3) uint8, resized as CLIP does
    metres: np.ndarray  # (480, 640) float16, only for the choice of words
    instances: np.ndarray  # (480, 640) uint8
    objects: tuple
    names: tuple[str, ...]  # of things that fill more than SMALL_PART
    scene: str


def paint(job: tuple[str, int, tuple[int, ...]]) -> Picture:
    """Render one view of the pretraining world; job: scene type, seed, sides to resize to."""
    scene_type, seed, sides = job
    view = render_view(scene_type, seed)
    height, width = view.rgb.shape[:2]
    inner = Image.fromarray(view.rgb).crop((BORDER, BORDER, width - BORDER, height - BORDER))
    sizes = {side: (round(side * inner.width / inner.height), side) for side in sides}
    counts = np.bincount(view.labels.ravel(), minlength=len(OBJECT_NAMES) + 1)[1:]
    seen = np.flatnonzero(counts > SMALL_PART * height * width)
    small = {k: np.asarray(inner.resize(s, Image.Resampling.BICUBIC)) for k, s in sizes.items()}
    names = tuple(OBJECT_NAMES[i] for i in seen)
    scene, metres = captions.scene_words(scene_type), view.depth.astype(np.float16)
    return Picture(view.rgb, small, metres, view.instances, view.objects, names, scene)


def paint_world(recipe: Recipe) -> list[Picture]:
    """All views of the pretraining world, rendered on all cores."""
    first, sides = recipe.seed * 10_000, (recipe.side, recipe.large_side)
    seeds = range(first, first + recipe.views_per_scene)
    jobs = [(scene, seed, sides) for seed in seeds for scene in SCENE_TYPES]
    with ProcessPoolExecutor(usable_cores(), mp_context=get_context("spawn")) as pool:
        return list(tqdm(pool.map(paint, jobs, chunksize=4), total=len(jobs), desc="rendering"))


def cut_crop(picture: Picture, side: int, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """A crop at native scale, (side, side, 3), and a sentence about its middle."""
    height, width = picture.rgb.shape[:2]
    top = rng.integers(BORDER, height - BORDER - side)
    left = rng.integers(BORDER, width - BORDER - side)
    crop = picture.rgb[top : top + side, left : left + side]
    edge = side // 4
    middle = np.s_[top + edge : top + side - edge, left + edge : left + side - edge]
    thing = picture.objects[np.bincount(picture.instances[middle].ravel()).argmax() - 1]
    metres = float(np.median(picture.metres[middle].astype(np.float32)))
    facts = vars(thing) | {"metres": metres, "scene": picture.scene}
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    return crop, captions.caption_crop(facts, rng)


def cut_scene(picture: Picture, side: int, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """A square of the resized photograph, (side, side, 3), and a sentence about the scene."""
    left = rng.integers(0, picture.small[side].shape[1] - side + 1)
    square = picture.small[side][:, left : left + side]
    if rng.random() < 0.5:
        square = square[:, ::-1]
    return square, captions.caption_scene({"scene": picture.scene, "names": picture.names}, rng)


def draw_batch(
    pictures: list[Picture], recipe: Recipe, side: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[str]]:
    """A batch of pairs: images, uint8 (batch, side, side, 3), and one sentence for each."""
    n_scenes = round(recipe.batch * recipe.scene_share)
    cutters = [cut_scene] * n_scenes + [cut_crop] * (recipe.batch - n_scenes)
    chosen = rng.integers(len(pictures), size=recipe.batch)
    pairs = [cut(pictures[i], side, rng) for cut, i in zip(cutters, chosen, strict=True)]
    images, sentences = zip(*pairs, strict=True)
    return np.stack(images), list(sentences)


def create_model(recipe: Recipe) -> torch.nn.Module:
    """The untrained model, at the first resolution.

    Its token embedding comes from `model.initial_embedding`. The attention pool's positional
    embedding stays zero: positions in a crop carry no meaning, and without them the pool has to
    learn what each patch token shows. The last norm of each block starts at one. open_clip starts
    it at zero, for deep networks; with one block per stage, that would switch every block off.
    """
    load_open_clip()
    torch.manual_seed(recipe.seed)
    model = open_clip.create_model("sample", device="cpu", force_image_size=recipe.side)
    with torch.no_grad():
        embedding = model.token_embedding.weight
        embedding.copy_(sample_model.initial_embedding(*embedding.shape))
        model.visual.attnpool.positional_embedding.zero_().requires_grad_(False)
        for name, parameter in model.visual.named_parameters():
            if name.endswith("bn3.weight"):
                parameter.fill_(1)
    return model.to(memory_format=torch.channels_last)


def encode_images(model: torch.nn.Module, pixels: np.ndarray) -> torch.Tensor:
    """Images, uint8 (B, side, side, 3) → CLIP's unit vectors (B, D), with gradients; any side."""
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    images = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
    return heads.image_vectors(resnet_cells(model.visual, images), model.visual)


def learning_rate(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then cosine decay to zero."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps + recipe.large_steps - recipe.warmup)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def train(pictures: list[Picture], recipe: Recipe) -> tuple[torch.nn.Module, torch.Tensor]:
    """The trained model, and the ids of all tokens in its captions."""
    model = create_model(recipe).train()
    tokenizer = open_clip.get_tokenizer("sample")
    learnt = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learnt if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in learnt if p.ndim <= 1], "weight_decay": 0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
    clip_loss = open_clip.ClipLoss()
    rng = np.random.default_rng(recipe.seed)
    read = torch.zeros(model.vocab_size, dtype=torch.bool)
    sides = [recipe.side] * recipe.steps + [recipe.large_side] * recipe.large_steps
    progress = tqdm(sides, desc="pretraining")
    for step, side in enumerate(progress):
        pixels, sentences = draw_batch(pictures, recipe, side, rng)
        texts, back = np.unique(sentences, return_inverse=True)  # encode each sentence once
        tokens = tokenizer(list(texts))
        read[tokens.flatten()] = True
        text_vectors = model.encode_text(tokens, normalize=True)[back]
        loss = clip_loss(encode_images(model, pixels), text_vectors, model.logit_scale.exp())
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, recipe)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        if step % 20 == 0:
            progress.set_postfix(loss=f"{loss.item():.3f}", scale=f"{model.logit_scale.exp():.1f}")
    pool, cells = model.visual.attnpool, recipe.large_side // 32
    positions = heads.resize_positions(pool.positional_embedding, (cells, cells))
    pool.positional_embedding = torch.nn.Parameter(positions, requires_grad=False)
    return model.eval(), read.nonzero().flatten()


def write_card(recipe: Recipe, weights: Path, n_read: int, seconds: float) -> None:
    """Write the model card beside the weights."""
    card = DATA["texts"]["card"].format(
        views=recipe.views_per_scene * len(SCENE_TYPES),
        scenes=len(SCENE_TYPES),
        seed_limit=f"{PRETRAIN_SEED_LIMIT:,}",
        pairs=recipe.batch * (recipe.steps + recipe.large_steps),
        minutes=seconds / 60,
        cores=usable_cores(),
        recipe=", ".join(f"{key}={value}" for key, value in asdict(recipe).items()),
        date=date.today().isoformat(),
        torch=torch.__version__,
        open_clip=open_clip.__version__,
        size=weights.stat().st_size / 1e6,
        sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
        read=n_read,
    )
    write_whole(weights.with_suffix(".md"), card)


def main(weights: Path) -> None:
    """Pretrain, and write the weights and their card; existing files are never overwritten."""
    for path in (weights, weights.with_suffix(".md")):
        if path.exists():
            sys.exit(f"{path} exists: move it away, or give another OUT=")
    recipe, start = Recipe(), time.perf_counter()
    model, read = train(paint_world(recipe), recipe)
    sample_model.save_weights(model, read, weights)
    write_card(recipe, weights, len(read), time.perf_counter() - start)
    print(f"{weights}, {weights.stat().st_size / 1e6:.1f} MB, with its card beside it")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
