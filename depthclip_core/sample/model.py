"""The sample's miniature CLIP: its configuration, and its weights as they lie in this package.

The weights file keeps the token embedding's rows of the words that its captions hold; a word it
never read has the row it had before training, which is what an unread word has in any CLIP.
"""

from pathlib import Path

import open_clip
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from depthclip_core.errors import DepthClipError

HERE = Path(__file__).parent
CONFIG = HERE / "sample.json"  # its stem is the model's name in open_clip
WEIGHTS = HERE / "weights.safetensors"

EMBEDDING = "token_embedding.weight"
READ_ROWS = "token_embedding.rows"  # which rows of EMBEDDING the file keeps
EMBEDDING_STD, EMBEDDING_SEED = 0.02, 0  # as CLIP begins


def register() -> None:
    """Make "sample" a model that open_clip knows."""
    if "sample" not in open_clip.list_models():
        open_clip.add_model_config(CONFIG)


def initial_embedding(vocabulary: int, width: int) -> Tensor:
    """The token embedding (vocabulary, width) before training, the same on every machine."""
    generator = torch.Generator().manual_seed(EMBEDDING_SEED)
    return torch.randn(vocabulary, width, generator=generator) * EMBEDDING_STD


def state_dict(path: Path = WEIGHTS) -> dict[str, Tensor]:
    """The whole model's tensors by name, fp32, from the compact file."""
    if not path.is_file():
        raise DepthClipError(
            f"the sample's weights are missing at {path}: install the package again"
        )
    state = {
        key: tensor.float() if tensor.is_floating_point() else tensor
        for key, tensor in load_file(path).items()
    }
    rows = state.pop(READ_ROWS)
    vocabulary = open_clip.get_model_config("sample")["text_cfg"]["vocab_size"]
    embedding = initial_embedding(vocabulary, state[EMBEDDING].shape[1])
    embedding[rows] = state[EMBEDDING]
    return state | {EMBEDDING: embedding}


def save_weights(model: torch.nn.Module, read_rows: Tensor, path: Path = WEIGHTS) -> None:
    """Write a trained model compactly, in fp16; read_rows: the token ids that its captions hold."""
    state = {
        key: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for key, tensor in model.state_dict().items()
    }
    state[EMBEDDING] = state[EMBEDDING][read_rows].contiguous()
    state[READ_ROWS] = read_rows
    part = path.with_suffix(".part")
    save_file(state, part)
    part.replace(path)
