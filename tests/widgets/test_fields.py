import pytest

from depthclip_core.errors import DepthClipError
from depthclip_core.widgets.fields import read_bins, read_words


def test_words_and_bins_are_separated_by_commas():
    assert read_words(" near, far away ,unseen") == ("near", "far away", "unseen")
    assert read_bins("1, 1.5,2e0", 3) == (1.0, 1.5, 2.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Type one or more words"),
        ("  ", "Type one or more words"),
        ("near, , far", "Word 2 of 3 is empty"),
        ("near,", "Word 2 of 2 is empty"),
    ],
)
def test_missing_words_are_told(text, message):
    with pytest.raises(DepthClipError, match=message):
        read_words(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1, two", "“two” is not a number"),
        ("original", "“original” is not a number"),
        ("1, ", "A bin is empty"),
        ("0, 1", "cannot be 0 m"),
        ("1, -2", "cannot be -2 m"),
        ("1, inf", "cannot be inf m"),
        ("1, nan", "cannot be nan m"),
        ("1", "There are 2 words but 1 bin:"),
        ("1, 2, 3", "There are 2 words but 3 bins:"),
    ],
)
def test_faulty_bins_are_told(text, message):
    with pytest.raises(DepthClipError, match=message):
        read_bins(text, 2)


def test_one_word_is_counted_as_one():
    with pytest.raises(DepthClipError, match="There is 1 word but 2 bins"):
        read_bins("1, 2", 1)
