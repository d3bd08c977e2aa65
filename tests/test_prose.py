from IPython.core.formatters import DisplayFormatter

from depthclip_core.prose import listed, says


def test_sentences_are_one_paragraph_shown_as_prose():
    said = says("Depth is 1.5 m.", "", "That is near.")
    data, _ = DisplayFormatter().format(said)
    assert data == {key: "Depth is 1.5 m. That is near." for key in ("text/plain", "text/markdown")}
    assert said == "Depth is 1.5 m. That is near."


def test_names_are_listed_as_in_a_sentence():
    assert listed([]) == "none"
    assert listed(["a"]) == "a"
    assert listed(["a", 2]) == "a and 2"
    assert listed(["a", "b", "c"]) == "a, b and c"
