"""The sample's miniature CLIP: its configuration and its weights.

The weights file stores only the rows of the token embedding that occur in the captions. All other
rows keep their initial values, as those of unseen tokens do in any CLIP.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from depthclip_core.errors import DepthClipError
from depthclip_core.files import write_whole

HERE = Path(__file__).parent
CONFIG = HERE / "sample.json"  # open_clip names the model after the file
WEIGHTS = HERE / "weights.safetensors"

EMBEDDING = "token_embedding.weight"
READ_ROWS = "token_embedding.rows"  # the rows of EMBEDDING in the file
EMBEDDING_STD, EMBEDDING_SEED = 0.02, 0  # CLIP's own initial standard deviation


def initial_embedding(vocabulary: int, width: int) -> Tensor:
    """The untrained token embedding (vocabulary, width), equal on every machine."""
    generator = torch.Generator().manual_seed(EMBEDDING_SEED)
    return torch.randn(vocabulary, width, generator=generator) * EMBEDDING_STD


def state_dict(path: Path = WEIGHTS) -> dict[str, Tensor]:
    """All tensors of the model by name, fp32, from the compact file."""
    if not path.is_file():
        raise DepthClipError(f"the sample's weights are missing at {path}: reinstall the package")
    state = {
        key: tensor.float() if tensor.is_floating_point() else tensor
        for key, tensor in load_file(path).items()
    }
    rows = state.pop(READ_ROWS)
    vocabulary = json.loads(CONFIG.read_text(encoding="utf-8"))["text_cfg"]["vocab_size"]
    embedding = initial_embedding(vocabulary, state[EMBEDDING].shape[1])
    embedding[rows] = state[EMBEDDING]
    return state | {EMBEDDING: embedding}


def save_weights(model: torch.nn.Module, read_rows: Tensor, path: Path) -> None:
    """Write a trained model compactly, in fp16; read_rows: ids of the tokens in its captions."""
    state = {
        key: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for key, tensor in model.state_dict().items()
    }
    state[EMBEDDING] = state[EMBEDDING][read_rows].contiguous()
    state[READ_ROWS] = read_rows
    write_whole(path, save(state))
