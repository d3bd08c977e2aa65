"""The straight way of doing it, which speed is measured against: released passes, plain scoring.

Written from the method's text, one frame and one setting at a time, as the released code goes.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def released_depth(rgb: np.ndarray, visual: nn.Module, text: Tensor, bins: Tensor) -> Tensor:
    """uint8 (480, 640, 3) → depth (416, 544) in metres: two full passes of batch one.

    visual: a ModifiedResNet as open_clip made it, in the precision and on the device of the pass.
    text: (K, D) unit vectors; bins: (K,) metres; both fp32 on that device.
    """
    weight = visual.conv1.weight
    crop = rgb[56:472, 60:604].astype(np.float32) / 255
    crop = (crop - np.float32(MEAN)) / np.float32(STD)
    image = torch.from_numpy(crop.transpose(2, 0, 1)[None].copy()).to(weight.device, weight.dtype)
    depths = []
    for view in (image, image.flip(-1)):
        x = visual.stem(view)
        x = visual.layer4(visual.layer3(visual.layer2(visual.layer1(x))))
        x = x.float()
        x = (x / x.norm(dim=1, keepdim=True))[:, ::2]  # (1, D, 13, 17)
        logits = 100 * torch.einsum("bdhw,kd->bkhw", x, text) / 0.1
        depths.append((logits.softmax(1) * bins[None, :, None, None]).sum(1))
    depth = (depths[0] + depths[1].flip(-1)) / 2
    return F.interpolate(depth[None], (416, 544), mode="bilinear", align_corners=True)[0, 0]


def released_scores(depth: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """The paper's six metrics of one frame: depth (416, 544), truth (480, 640), metres."""
    canvas = np.zeros_like(truth)
    canvas[56:472, 60:604] = depth
    truth = np.clip(truth, 0, 10)
    mask = np.zeros(truth.shape, bool)
    mask[45:471, 46:601] = True
    mask &= (truth > 1e-3) & (truth < 10) & (canvas > 1e-3)
    p, g = np.clip(canvas[mask], 1e-3, 10), truth[mask]
    ratio = np.maximum(p / g, g / p)
    return {
        "delta1": (ratio < 1.25).mean(),
        "delta2": (ratio < 1.25**2).mean(),
        "delta3": (ratio < 1.25**3).mean(),
        "abs_rel": (np.abs(p - g) / g).mean(),
        "log10": np.abs(np.log10(p) - np.log10(g)).mean(),
        "rmse": np.sqrt(((p - g) ** 2).mean()),
    }


def vectorised_scores(cells: Tensor, bins: Tensor, truth: Tensor) -> Tensor:
    """The six metrics (P, 6) of P partitions on one frame, in plain vectorised torch.

    cells: bin weights (K, 13, 17). bins: (P, K) metres. truth: (480, 640) metres, holes 0. Pixels
    that do not count are masked, which is faster than to gather the others.
    """
    depth = torch.einsum("khw,pk->phw", cells, bins)
    maps = F.interpolate(depth[None], (416, 544), mode="bilinear", align_corners=True)[0]
    g = truth[56:471, 60:601]
    valid = (g > 1e-3) & (g < 10)
    n = valid.sum()
    g = torch.where(valid, g, 1)
    p = torch.where(valid, maps[:, :415, :541], 1)  # a ratio of 1, an error of 0
    ratio = torch.maximum(p / g, g / p)
    near = [(ratio < 1.25**power).sum((1, 2)) - (g.numel() - n) for power in (1, 2, 3)]
    error = (p - g).abs()
    sums = [*near, (error / g).sum((1, 2)), ratio.log10().sum((1, 2))]
    return torch.stack([*(s / n for s in sums), (error.square().sum((1, 2)) / n).sqrt()], dim=1)
