"""Captions of crops and photographs: objects, scenes and distances, phrased in many ways.

The sample's CLIP learns from nothing but these sentences. A distance appears only as a word, chosen
as vaguely as people choose it, sometimes with a length rounded to half metres, and never as a depth
map. At every distance several words are likely.
"""

import numpy as np

from depthclip_core.sample.world import DATA
from depthclip_core.sample.world.materials import pick

DISTANCE_WORDS, TEMPLATES = DATA["distances"], DATA["captions"]
VAGUENESS = 0.13  # standard deviation of ln metres in the choice of a word

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def distance_word(metres: float, rng: np.random.Generator) -> str:
    """A word for a distance, drawn at random among those that fit."""
    centres = np.log(list(DISTANCE_WORDS.values()))
    log = np.clip(np.log(metres), centres[0], centres[-1])  # the first and last word cover the rest
    odds = np.exp(-((log - centres) ** 2) / (2 * VAGUENESS**2))
    return str(rng.choice(list(DISTANCE_WORDS), p=odds / odds.sum()))


def length_words(metres: float) -> str:
    """Metres in words, rounded to half metres: "two metres", "one and a half metres"."""
    halves = int(np.clip(round(metres * 2), 1, 20))
    whole, half = divmod(halves, 2)
    if not whole:
        return "half a metre"
    number = NUMBERS[whole - 1] + (" and a half" if half else "")
    return f"{number} metre" + ("s" if halves > 2 else "")


def caption_crop(facts: dict, rng: np.random.Generator) -> str:
    """A sentence about a crop at native scale: what its middle shows, and usually how far away."""
    kind = ("distance-only", "distance", "object")[rng.choice(3, p=(0.5, 0.4, 0.1))]
    template, metres = pick(rng, TEMPLATES[kind]), facts["metres"]
    words = {"word": distance_word(metres, rng), "metres": length_words(metres)}
    return template.format(**facts | words)


def caption_scene(facts: dict, rng: np.random.Generator) -> str:
    """A sentence about a whole photograph: its scene, and things in it."""
    template = pick(rng, TEMPLATES["scene"])
    name, other = (pick(rng, facts["names"]) for _ in range(2))
    return template.format(scene=facts["scene"], name=name, other=other)


def scene_words(scene_type: str) -> str:
    """NYU's scene type in plain words: "dining_room" → "dining room"."""
    return scene_type.replace("_", " ")
