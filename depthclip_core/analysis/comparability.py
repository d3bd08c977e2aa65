"""What a run shows, and whether its numbers are comparable with the paper's."""

from collections.abc import Sequence
from pathlib import Path

from depthclip_core.clip.encoders import Encoder
from depthclip_core.datasets import Frame, as_dataset
from depthclip_core.settings import TEMPERATURE

PAPER_SETTINGS = {
    "prompts": "original",
    "bins": "original",
    "temperature": TEMPERATURE,
    "protocol": "released",
}


def run_caption(frames: Sequence[Frame], encoder: Encoder, head: str | None = None) -> str:
    """One line for a notebook's first output: data, encoder, head, comparability."""
    title = as_dataset(frames).title
    weights = {"own": "the sample's own CLIP", "random": f"{encoder.name} with random weights"}
    shown = f"{title}: {len(frames)} frames, "
    shown += weights.get(encoder.weights, f"{encoder.name}, weights {Path(encoder.weights).name}")
    shown += f", {head} head" if head else ""
    if not_comparable(frames, encoder, head or "released"):
        shown += ". Not the paper's setting, so not its numbers"
    return shown


def not_comparable(
    frames: Sequence[Frame], encoder: Encoder, head: str, **settings: object
) -> list[str]:
    """Why a run is not comparable with the paper: NYU's test split, OpenAI's RN50, released head.

    Empty if it is. settings: those of prompts, bins, temperature and protocol that the run lets its
    user choose; each must be the paper's.
    """
    reasons = as_dataset(frames).unlike_published()
    if not is_openai_rn50(encoder):
        reasons.append("the encoder is not RN50 with OpenAI's weights")
    if head != "released":
        reasons.append(f"the head is {head!r}, not 'released'")
    for name, value in settings.items():
        if value != PAPER_SETTINGS[name]:
            reasons.append(f"the {name} is {value!r}, not {PAPER_SETTINGS[name]!r}")
    return reasons


def is_openai_rn50(encoder: Encoder) -> bool:
    """Whether the weights are OpenAI's RN50, by open_clip's tag or as the original file."""
    return encoder.name == "RN50" and encoder.from_openai
