"""Captions of crops and photographs: objects, scenes and distances, phrased in many ways.

The sample's CLIP learns from nothing but these sentences. A distance appears only as a word, chosen
as vaguely as people choose it, sometimes with a length rounded to half metres, and never as a depth
map. At every distance several words are likely.
"""

import numpy as np

# Words for a distance, and the metres at which each is most likely. They include all words of the
# paper's four prompts.
DISTANCE_WORDS = {
    "giant": 0.80,
    "extremely close": 1.05,
    "within reach": 1.15,
    "very close": 1.30,
    "close": 1.60,
    "near": 1.75,
    "a little close": 2.00,
    "not in distance": 2.30,
    "middle": 2.60,
    "a little far": 2.95,
    "a little remote": 3.10,
    "a bit remote": 3.25,
    "far": 4.20,
    "distant": 4.60,
    "quite far": 5.20,
    "very far": 6.20,
    "unseen": 7.00,
    "barely visible": 7.20,
}
VAGUENESS = 0.13  # standard deviation of ln metres in the choice of a word

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

DISTANCE_ONLY = "This object is {word}"
DISTANCE_TEMPLATES = (
    "This {name} is {word}",
    "the {name} is {word}",
    "a photo of a {name}, {word}",
    "a {colour} {name} that is {word}",
    "a {material} {name}, {word}, in a {scene}",
    "the {colour} {name} is {word}, about {metres} away",
    "something {word}, about {metres} away",
)
OBJECT_TEMPLATES = (
    "a {name}",
    "a photo of a {name}",
    "a {colour} {material} {name}",
    "a {name} in a {scene}",
)
SCENE_TEMPLATES = (
    "a photo of a {scene}",
    "a photo of a {scene}",
    "a {scene}",
    "the picture of a {scene} with a {name}",
    "a {scene} with a {name} and a {other}",
)


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
    kinds = ((DISTANCE_ONLY,), DISTANCE_TEMPLATES, OBJECT_TEMPLATES)
    templates = kinds[rng.choice(3, p=(0.5, 0.4, 0.1))]
    template = templates[rng.integers(len(templates))]
    metres = facts["metres"]
    words = {"word": distance_word(metres, rng), "metres": length_words(metres)}
    return template.format(**facts | words)


def caption_scene(facts: dict, rng: np.random.Generator) -> str:
    """A sentence about a whole photograph: its scene, and things in it."""
    template = SCENE_TEMPLATES[rng.integers(len(SCENE_TEMPLATES))]
    names = facts["names"]
    name, other = (names[rng.integers(len(names))] for _ in range(2))
    return template.format(scene=facts["scene"], name=name, other=other)


def scene_words(scene_type: str) -> str:
    """NYU's scene type in plain words: "dining_room" → "dining room"."""
    return scene_type.replace("_", " ")
