"""What can be fetched: addresses, sizes, checksums, terms and citations."""

from dataclasses import dataclass

from depthclip_core.datasets.nyu import MAT_NAME, NYU_BYTES, SPLITS_NAME, Nyu
from depthclip_core.errors import unknown_name

NYU_PAGE = "http://horatio.cs.nyu.edu/mit/silberman"


@dataclass(frozen=True)
class Source:
    """A file that its authors distribute.

    name: how `depthclip fetch` calls it. file: its name on disk. folder: where it lies in the data
    folder. address: its authors' own. checksum: "md5:…" or "sha256:…", in hexadecimal digits.
    size: in bytes, None where it is not published. title, terms, citation: for people.
    """

    name: str
    file: str
    folder: str
    address: str
    checksum: str
    size: int | None
    title: str
    terms: str
    citation: str

    @property
    def variable(self) -> str:
        """The environment variable with another address."""
        return f"DEPTHCLIP_{self.name.upper()}_URL"


NYU = Source(
    name="nyu",
    file=MAT_NAME,
    folder="nyu",
    address=f"{NYU_PAGE}/nyu_depth_v2/nyu_depth_v2_labeled.mat",
    checksum="md5:520609c519fba3ba5ac58c8fefcc3530",
    size=NYU_BYTES,
    title="NYU Depth v2, the labelled set",
    terms=Nyu.licence,
    citation=Nyu.citation,
)
SPLITS = Source(
    name="splits",
    file=SPLITS_NAME,
    folder="nyu",
    address=f"{NYU_PAGE}/indoor_seg_sup/splits.mat",
    checksum="md5:08e3c3aea27130ac7c01ffd739a4535f",
    size=2626,
    title="NYU Depth v2, the official train and test split",
    terms=Nyu.licence,
    citation=Nyu.citation,
)


def clip_weights(model: str = "RN50") -> Source:
    """OpenAI's original file of a model; `DepthClipError` for one that OpenAI did not release."""
    # It loads torch, which other sources do not need.
    from depthclip_core.clip.configurations import OPENAI_FOLDER as folder
    from depthclip_core.clip.configurations import openai_addresses, openai_checksums

    model = model.replace("/", "-")
    addresses = openai_addresses()
    if model not in addresses:
        raise unknown_name("model of OpenAI", model, addresses)
    return Source(
        name="clip",
        file=addresses[model].rpartition("/")[2],
        folder=folder,
        address=addresses[model],
        checksum=f"sha256:{openai_checksums()[model]}",
        size=None,
        title=f"CLIP {model}, OpenAI's weights",
        terms="MIT licence; OpenAI's model card says which uses are out of scope",
        citation=(
            "Radford, Kim, Hallacy et al.: Learning Transferable Visual Models From Natural "
            "Language Supervision, ICML 2021"
        ),
    )
