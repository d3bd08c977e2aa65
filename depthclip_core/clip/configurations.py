"""What open_clip's files say of its models, read without importing the package."""

import hashlib
import importlib
import json
import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.sample.model import CONFIG as SAMPLE
from depthclip_core.settings import data_folder

FOLDER = Path(find_spec("open_clip").submodule_search_locations[0])
OPENAI_FOLDER = "clip"  # in the data folder: OpenAI's original files
CHECKSUM = re.compile(r"/([0-9a-f]{64})/")  # in an address
TABLES = "_open_clip_tables"  # open_clip's folder as a package whose own __init__ does not run


@dataclass(frozen=True)
class Configuration:
    """A model's architecture, as open_clip builds it.

    content: open_clip's JSON. quick_gelu: whether activations are QuickGELU, as in OpenAI's models.
    """

    name: str
    content: dict
    quick_gelu: bool

    @property
    def checksum(self) -> str:
        """16 hex digits that stand for the architecture."""
        text = json.dumps([self.content, self.quick_gelu], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def width(self) -> int:
        """D, the length of text, image and cell vectors."""
        return self.content["embed_dim"]

    @property
    def channels(self) -> int:
        """C, the channels of a cell before the released head drops some."""
        width = self.content["vision_cfg"].get("width", 768)  # open_clip's own default
        return 32 * width if self._is_resnet else width

    @property
    def stride(self) -> int:
        """Pixels from one cell to the next."""
        return 32 if self._is_resnet else self.content["vision_cfg"].get("patch_size", 16)

    @property
    def image_side(self) -> int:
        """Side in pixels of the square images that the model was trained on."""
        size = self.content["vision_cfg"].get("image_size", 224)
        return size if isinstance(size, int) else size[0]

    @property
    def context(self) -> int:
        """Tokens that the text tower reads of a sentence, the first and last of which mark it."""
        return self.content["text_cfg"].get("context_length", 77)  # open_clip's own default

    @property
    def has_dense_heads(self) -> bool:
        """Whether the image tower is a ModifiedResNet or a plain ViT, which the heads here need."""
        vision = self.content["vision_cfg"]
        plain = vision.get("pool_type", "tok") == "tok"
        pooled = vision.get("attentional_pool") or vision.get("final_ln_after_pool")
        return not vision.get("timm_model_name") and (self._is_resnet or (plain and not pooled))

    @property
    def _is_resnet(self) -> bool:
        return isinstance(self.content["vision_cfg"].get("layers"), list)


def read_configuration(name: str, quick_gelu: bool = False) -> Configuration:
    """The architecture of "sample" or of one of open_clip's models.

    quick_gelu: use QuickGELU even where the model's file does not ask for it.
    Raises `DepthClipError` for an unknown name, and for a tower that no head here can use.
    """
    files, package = _files(), sys.modules.get("open_clip")
    if name in files:
        content = json.loads(files[name].read_text(encoding="utf-8"))
    elif name in getattr(package, "list_models", list)():  # added by the program that runs
        content = package.get_model_config(name)
    else:
        raise unknown_name("encoder", name, files)
    configuration = Configuration(name, content, quick_gelu or content.get("quick_gelu", False))
    if not configuration.has_dense_heads:
        advice = "use one of CLIP's own ResNets or ViTs (RN50, RN101, ViT-B-16 …)"
        raise DepthClipError(f"{name} has an image tower without dense heads: {advice}")
    return configuration


def pretrained_tags(name: str) -> dict[str, dict]:
    """open_clip's weights for a model, by tag: where they are, and how the model was trained."""
    if name == "sample":
        return {}
    tags = _tables().list_pretrained_tags_by_model(name)
    return {tag: _tables().get_pretrained_cfg(name, tag) for tag in tags}


def download_weights(entry: dict) -> Path:
    """The file of one of `pretrained_tags`, downloaded unless it is there; any error of the hub."""
    return Path(_tables().download_pretrained(entry))


def openai_addresses() -> dict[str, str]:
    """The address of OpenAI's original file of each model, as open_clip has it."""
    tags = {name: pretrained_tags(name).get("openai", {}) for name in _files()}
    found = {name: tag.get("url", "") for name, tag in tags.items()}
    return {name: address for name, address in found.items() if CHECKSUM.search(address)}


def openai_checksums() -> dict[str, str]:
    """The sha256 of OpenAI's original file of each model, which its address contains."""
    return {name: CHECKSUM.search(address)[1] for name, address in openai_addresses().items()}


def fetched_weights(name: str) -> Path | None:
    """Where `depthclip fetch clip` puts OpenAI's file of a model, if OpenAI released one."""
    address = openai_addresses().get(name)
    return data_folder() / OPENAI_FOLDER / address.rpartition("/")[2] if address else None


@cache
def _files() -> dict[str, Path]:
    """The JSON file of each model, the sample's first."""
    paths = sorted((FOLDER / "model_configs").glob("*.json"))
    return {"sample": SAMPLE} | {path.stem: path for path in paths}


@cache
def _tables() -> ModuleType:
    """open_clip's module `pretrained`, which needs none of the packages that make networks."""
    package = ModuleType(TABLES)
    package.__path__ = [str(FOLDER)]
    sys.modules[TABLES] = package
    return importlib.import_module(f"{TABLES}.pretrained")
