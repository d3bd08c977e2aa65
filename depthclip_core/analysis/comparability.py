"""What a run shows, and whether its numbers are comparable with the paper's."""

from collections.abc import Sequence
from pathlib import Path

from depthclip_core.clip.encoders import Encoder
from depthclip_core.datasets import Frame, as_dataset
from depthclip_core.settings import TEMPERATURE

PAPER_SETTINGS = dict.fromkeys(("prompts", "bins"), "original")
PAPER_SETTINGS |= {"temperature": TEMPERATURE, "protocol": "released"}


def run_caption(frames: Sequence[Frame], encoder: Encoder, head: str | None = None) -> str:
    """One line for a notebook's first output: data, encoder, head, comparability."""
    weights = {"own": "the sample's own CLIP", "random": f"{encoder.name} with random weights"}
    network = weights.get(encoder.weights, f"{encoder.name}, weights {Path(encoder.weights).name}")
    shown = f"{as_dataset(frames).title}: {len(frames)} frames, {network}"
    shown += f", {head} head" if head else ""
    other = not_comparable(frames, encoder, head or "released")
    return shown + (". Not the paper's setting, so not its numbers" if other else "")


def not_comparable(
    frames: Sequence[Frame], encoder: Encoder, head: str, **settings: object
) -> list[str]:
    """Why a run is not comparable with the paper: NYU's test split, OpenAI's RN50, released head.

    Empty if it is. settings: those of prompts, bins, temperature and protocol that the run lets its
    user choose; each must be the paper's.
    """
    reasons = as_dataset(frames).unlike_published()
    if not (encoder.name == "RN50" and encoder.from_openai):
        reasons.append("the encoder is not RN50 with OpenAI's weights")
    if head != "released":
        reasons.append(f"the head is {head!r}, not 'released'")
    pairs = ((name, value, PAPER_SETTINGS[name]) for name, value in settings.items())
    return reasons + [
        f"the {name} {'are' if name.endswith('s') else 'is'} {ours!r}, not {own!r}"
        for name, ours, own in pairs
        if ours != own
    ]
