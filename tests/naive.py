"""A second opinion: the released pipeline and its metrics in plain loops, from the method's text.

It shares no code with the package, and no array tricks: slow, and easy to check against the paper.
"""

import copy
import math

import numpy as np
import torch

WORDS = {
    "original": "giant;extremely close;close;not in distance;a little remote;far;unseen",
    "prompt-1": "extremely close;close;middle;a little far;far;quite far;unseen",
    "prompt-2": "extremely close;very close;close;a little close;a little far;far;unseen",
    "prompt-3": "giant;close;a little close;not in distance;a bit remote;far;unseen",
}
BINS = {
    "original": [1.00, 1.50, 2.00, 2.25, 2.50, 2.75, 3.00],
    "class-dependent-1": [1.00, 2.00, 2.25, 2.50, 2.75, 3.00, 4.00],
    "class-dependent-2": [1.00, 1.50, 2.00, 2.50, 3.00, 3.50, 4.00],
    "class-dependent-3": [1.00, 1.25, 1.50, 1.75, 2.00, 2.25, 2.50],
    "class-dependent-4": [2.00, 2.50, 3.00, 3.25, 3.50, 3.75, 4.00],
}


def network_input(frame, top=56, bottom=472, left=60, right=604):
    """uint8 (480, 640, 3) → float32 (1, 3, 416, 544); of other frames, the window given."""
    crop = frame[top:bottom, left:right].astype(np.float32) / 255
    for channel, (mean, std) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        crop[..., channel] = (crop[..., channel] - np.float32(mean)) / np.float32(std)
    return torch.from_numpy(crop.transpose(2, 0, 1)[None].copy())


def layer4(model, image):
    """The network up to and including layer4, (2048, 13, 17), without fp32's rounding."""
    v = copy.deepcopy(model.visual).double()
    with torch.no_grad():
        x = v.act1(v.bn1(v.conv1(image.double())))
        x = v.act2(v.bn2(v.conv2(x)))
        x = v.avgpool(v.act3(v.bn3(v.conv3(x))))
        return v.layer4(v.layer3(v.layer2(v.layer1(x))))[0].numpy()


def text_vectors(model, tokenizer, words):
    vectors = []
    for word in words:
        with torch.no_grad():
            vector = model.encode_text(tokenizer([f"This object is {word}"]))[0].double().numpy()
        vectors.append(vector / math.sqrt(sum(v * v for v in vector)))
    return vectors


def cell_weights(features, texts):
    """Bin weights of each cell: normalise, every second channel, softmax of 1000 s."""
    channels, height, width = features.shape
    kept = list(range(0, channels, 2))
    weights = np.zeros((height, width, len(texts)))
    for row in range(height):
        for column in range(width):
            cell = features[:, row, column]
            cell = cell / math.sqrt(float((cell * cell).sum()))
            logits = [100 * float((cell[kept] * text).sum()) / 0.1 for text in texts]
            odds = [math.exp(logit - max(logits)) for logit in logits]
            weights[row, column] = [o / sum(odds) for o in odds]
    return weights


def cell_depths(weights, bins):
    """Depth of each cell: the sum of its weights times the bins."""
    height, width, _ = weights.shape
    depth = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            depth[row, column] = sum(w * b for w, b in zip(weights[row, column], bins, strict=True))
    return depth


def upsample(cells, height, width):
    """Bilinear with align_corners=True: corner cells lie on corner pixels."""
    rows, columns = cells.shape
    pixels = np.zeros((height, width))
    for i in range(height):
        y = i * (rows - 1) / (height - 1)
        y0 = min(int(y), rows - 2)
        for j in range(width):
            x = j * (columns - 1) / (width - 1)
            x0 = min(int(x), columns - 2)
            fy, fx = y - y0, x - x0
            top = cells[y0, x0] * (1 - fx) + cells[y0, x0 + 1] * fx
            bottom = cells[y0 + 1, x0] * (1 - fx) + cells[y0 + 1, x0 + 1] * fx
            pixels[i, j] = top * (1 - fy) + bottom * fy
    return pixels


def flip_average(straight, mirrored):
    """Mean of a map and the mirror image's map, column by column from the other side."""
    mean = np.zeros_like(straight)
    for row in range(mean.shape[0]):
        for column in range(mean.shape[1]):
            other = mirrored[row, mean.shape[1] - 1 - column]
            mean[row, column] = (straight[row, column] + other) / 2
    return mean


def pixel_weights(similarities, shape, temperature=0.1):
    """Bin weights of every pixel, (N, K, *shape), by torch alone; similarities (N, V, K, h, w)."""
    views = [torch.softmax(100 * view / temperature, dim=1) for view in similarities.unbind(1)]
    mean = (views[0] + views[1].flip(-1)) / 2 if len(views) == 2 else views[0]
    weights = torch.nn.functional.interpolate(mean, shape, mode="bilinear", align_corners=True)
    return weights.numpy()


def fitted_median(weights, depths):
    """The weighted median of one word: the depth below which half of its weight lies."""
    order = np.argsort(depths, kind="stable")
    below = np.cumsum(weights[order], dtype=np.float64)
    return depths[order][np.searchsorted(below, below[-1] / 2)]


def scores(depth, ground_truth):
    """Metrics of one frame under the released protocol, pixel by pixel."""
    near = [0, 0, 0]
    n = 0
    sums = dict.fromkeys(["rel", "log10", "square", "abs", "sq_rel", "ln", "ln2"], 0.0)
    for row in range(45, 471):
        for column in range(46, 601):
            inside = 56 <= row < 472 and 60 <= column < 604
            p = float(depth[row - 56, column - 60]) if inside else 0.0
            g = min(float(ground_truth[row, column]), 10.0)
            if not (1e-3 < g < 10 and p > 1e-3):
                continue
            p = min(max(p, 1e-3), 10.0)
            n += 1
            ratio = max(p / g, g / p)
            for i in range(3):
                near[i] += ratio < 1.25 ** (i + 1)
            log = math.log(p) - math.log(g)
            sums["rel"] += abs(p - g) / g
            sums["log10"] += abs(math.log10(p) - math.log10(g))
            sums["square"] += (p - g) ** 2
            sums["abs"] += abs(p - g)
            sums["sq_rel"] += (p - g) ** 2 / g
            sums["ln"] += log
            sums["ln2"] += log * log
    mean = {name: value / n for name, value in sums.items()}
    return {
        "delta1": near[0] / n,
        "delta2": near[1] / n,
        "delta3": near[2] / n,
        "abs_rel": mean["rel"],
        "log10": mean["log10"],
        "rmse": math.sqrt(mean["square"]),
        "mae": mean["abs"],
        "sq_rel": mean["sq_rel"],
        "rmse_log": math.sqrt(mean["ln2"]),
        "silog": 100 * math.sqrt(mean["ln2"] - mean["ln"] ** 2),
        "n_pixels": n,
    }
