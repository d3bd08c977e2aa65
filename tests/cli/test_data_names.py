"""`--dataset` and `--data` of commands, and the older spellings `--data NAME --path FOLDER`."""

from pathlib import Path

import pytest

from depthclip_core.cli.data_names import name_and_path, required_name
from depthclip_core.errors import DepthClipError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kitti").mkdir()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (("nyu", None, None), ("nyu", None)),
        (("nyu", Path("a"), None), ("nyu", Path("a"))),
        (("nyu", None, Path("a")), ("nyu", Path("a"))),
        (("pairs", Path("nyu"), None), ("pairs", Path("nyu"))),
        ((None, Path("kitti"), None), (None, Path("kitti"))),  # a folder of that name exists
        ((None, None, None), (None, None)),
    ],
)
def test_name_and_path_are_two_options(capsys, given, meant):
    assert name_and_path(*given) == meant
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ((None, Path("nyu"), None), ("nyu", None)),
        ((None, Path("nyu"), Path("a")), ("nyu", Path("a"))),
        ((None, Path("kitti"), Path("a")), ("kitti", Path("a"))),
    ],
)
def test_older_spelling_is_understood_and_named(capsys, given, meant):
    assert name_and_path(*given) == meant
    said = capsys.readouterr()
    assert said.out == "" and said.err.splitlines() == [
        f"note: {meant[0]} is a data set's name: write --dataset {meant[0]}"
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("nyu", Path("a"), Path("b")), "given twice, a and b"),
        ((None, Path("a"), None), "with --dataset: sample, nyu"),
        ((None, None, Path("a")), "with --dataset: sample, nyu"),
    ],
)
def test_missing_name_or_second_folder_is_one_line(given, says):
    with pytest.raises(DepthClipError, match=says):
        required_name(*given)
