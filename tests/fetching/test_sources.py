"""What can be fetched is what the workbook then reads."""

import re

import pytest

from depthclip_core.clip.configurations import fetched_weights, openai_checksums
from depthclip_core.datasets import nyu
from depthclip_core.errors import DepthClipError
from depthclip_core.fetching.fetch import place
from depthclip_core.fetching.sources import NYU, SPLITS, clip_weights


@pytest.mark.parametrize("source", [NYU, SPLITS, clip_weights("RN50")], ids=lambda s: s.name)
def test_sources_are_complete(source):
    assert re.fullmatch("md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", source.checksum)
    assert source.address.startswith(("http://", "https://"))
    assert source.address.endswith(f"/{source.file}")
    assert source.terms and source.citation and source.title


def test_files_go_where_the_workbook_looks_for_them(monkeypatch, tmp_path):
    monkeypatch.setenv("DEPTHCLIP_DATA", str(tmp_path))
    assert place(NYU) == tmp_path / "nyu" / nyu.MAT_NAME
    assert place(SPLITS) == tmp_path / "nyu" / nyu.SPLITS_NAME
    assert place(clip_weights("ViT-B/16")) == fetched_weights("ViT-B-16")
    assert place(NYU, "~/x") == place(NYU, "~/x").absolute() and "~" not in str(place(NYU, "~/x"))


def test_clip_is_any_model_of_openai():
    assert all(
        clip_weights(name).checksum == f"sha256:{digest}"
        for name, digest in openai_checksums().items()
    )
    with pytest.raises(DepthClipError, match="unknown model of OpenAI 'RN5': did you mean"):
        clip_weights("RN5")
