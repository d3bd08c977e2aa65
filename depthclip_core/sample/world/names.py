"""The names of things in the sample, and the public record of one thing."""

from dataclasses import dataclass

# fmt: off
OBJECT_NAMES: tuple[str, ...] = (
    "wall", "floor", "ceiling", "door", "window", "picture", "curtain", "blinds", "rug", "lamp",
    "ceiling light", "chair", "table", "desk", "bed", "pillow", "sofa", "armchair", "cushion",
    "bookshelf", "books", "dresser", "night stand", "wardrobe", "television", "tv stand",
    "coffee table", "plant", "vase", "cup", "plate", "bowl", "bottle", "box", "basket", "clock",
    "mirror", "towel", "toilet", "bathtub", "sink", "shower curtain", "toilet paper", "cabinet",
    "counter", "stove", "refrigerator", "microwave", "kettle", "range hood", "monitor", "keyboard",
    "laptop", "computer", "office chair", "filing cabinet", "whiteboard", "blackboard",
    "notice board", "school desk", "stool", "paper", "bag", "ball", "printer", "telephone", "bench",
    "radiator", "shelf", "bin", "fruit", "pot", "globe", "map", "sideboard", "fireplace",
)
# fmt: on


@dataclass(frozen=True)
class SceneObject:
    """One instance: what a viewer would call it, and its size (w, d, h) in metres."""

    name: str
    colour: str
    material: str
    size: tuple[float, float, float]
