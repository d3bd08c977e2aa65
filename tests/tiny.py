"""OpenAI's architectures in small, for tests to which the size of a network does not matter."""

import json
from pathlib import Path

import torch

RESNET = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None}
VIT = {"image_size": 64, "layers": 2, "width": 96, "head_width": 32, "patch_size": 16}
TEXT = {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
MODELS = {
    "tiny-RN": {"embed_dim": 256, "vision_cfg": RESNET, "text_cfg": TEXT},
    "tiny-ViT": {"embed_dim": 64, "vision_cfg": VIT, "text_cfg": TEXT},
}


def add_models(folder: Path) -> list[str]:
    """Tell open_clip of `MODELS`."""
    from depthclip_core.clip.library import load_open_clip

    for name, configuration in MODELS.items():
        (folder / f"{name}.json").write_text(json.dumps(configuration))
        load_open_clip().add_model_config(folder / f"{name}.json")
    return list(MODELS)


def create(name: str = "tiny-RN", seed: int = 0) -> torch.nn.Module:
    """One of `MODELS` with random weights and, in a ResNet, norms that do something."""
    import open_clip

    torch.manual_seed(seed)
    model = open_clip.create_model(name)
    for module in model.visual.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.3)
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    return model.eval().requires_grad_(False)
