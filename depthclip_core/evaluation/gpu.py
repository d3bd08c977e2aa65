"""The sums of `kernel` on a GPU, by torch: the same terms, in large blocks."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from depthclip_core.evaluation import terms as t
from depthclip_core.evaluation.frame_scores import Predictions

BLOCK = 1 << 25  # values at once: about 1 GB with what is computed from them

# Functions of q = prediction ÷ truth, of log q and d = q − 1 in float64, and of the truth g.
FUSED = {
    t.WITHIN[0]: lambda q, log, d, g: torch.maximum(q, 1 / q) < 1.25,
    t.WITHIN[1]: lambda q, log, d, g: torch.maximum(q, 1 / q) < 1.25**2,
    t.WITHIN[2]: lambda q, log, d, g: torch.maximum(q, 1 / q) < 1.25**3,
    t.ABS_REL: lambda q, log, d, g: d.abs(),
    t.SQ_REL: lambda q, log, d, g: d**2 * g,
    t.ABS_ERROR: lambda q, log, d, g: d.abs() * g,
    t.SQUARE_ERROR: lambda q, log, d, g: (d * g) ** 2,
    t.ABS_LOG10: lambda q, log, d, g: log.abs() / math.log(10),
    t.LOG: lambda q, log, d, g: log,
    t.SQUARE_LOG: lambda q, log, d, g: log**2,
}


def fused_sums(
    predictions: Predictions, terms: Sequence[t.Term], device: str
) -> dict[t.Term, np.ndarray]:
    """Sums (P,) of those of the terms that are in `FUSED`, over the valid pixels."""
    truth = predictions.truth

    def there(array: np.ndarray) -> torch.Tensor:
        # float64 for the product: in float32 a GPU may be set to round it to TF32, of 10 bits.
        return torch.from_numpy(array).to(device=device, dtype=torch.float64)

    g, maps = there(truth.values), there(predictions.maps.pixels[:, truth.valid_mask])
    maps = torch.cat([maps, torch.ones_like(g)[None]]) / g
    coefficients = there(np.column_stack([predictions.coefficients, predictions.shift]))
    low, high = (limit / g for limit in predictions.limits)
    chosen = [term for term in terms if term in FUSED]
    sums = []
    for part in coefficients.split(max(1, BLOCK // maps.shape[1])):
        q = (part @ maps).clamp(low, high).float()
        log, d = torch.log(q).double(), q.double() - 1
        sums.append([FUSED[term](q, log, d, g).sum(1, dtype=torch.float64) for term in chosen])
    totals = [torch.cat(of_term).numpy(force=True) for of_term in zip(*sums, strict=True)]
    return dict(zip(chosen, totals, strict=True))
