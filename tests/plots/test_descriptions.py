import matplotlib.pyplot as plt
import pytest

from depthclip_core.plots.descriptions import WithDescription, described, drawn_words


@pytest.fixture
def panels():
    figure, axes = plt.subplots(1, 2)
    yield figure, axes
    plt.close(figure)


def test_title_panels_and_axes_are_told(panels):
    figure, axes = panels
    figure.suptitle("What each step\ngains")
    axes[0].set(title="DepthCLIP", xlabel="step", ylabel="δ1 ↑")
    axes[1].set(title="value head", xlabel="step")
    expected = "What each step gains. 2 panels: DepthCLIP, δ1 ↑ by step; value head, step."
    assert described(figure) == expected
    axes[0].plot([1, 9], [0.2, 0.7])
    axes[1].barh([0, 1], [0.25, 0.5])
    axes[1].set_yticks([0, 1], ["near", "far"])
    axes[1].set_ylabel("word")
    first = "DepthCLIP, δ1 ↑ from 0.2 to 0.7 by step from 1 to 9"
    expected = f"What each step gains. 2 panels: {first}; value head, word by step from 0 to 0.5."
    assert described(figure) == expected


def test_title_that_names_what_is_across_has_its_ends(panels):
    figure, axes = panels
    axes[0].set_title("rel ↓", loc="left")
    axes[0].plot([0.25, 0.5], [0, 1])
    assert described(figure) == "rel ↓, from 0.25 to 0.5."


def test_colours_are_told_apart_from_panels(panels):
    figure, axes = panels
    for ax in axes:
        figure.colorbar(ax.imshow([[0, 1]]), ax=ax, label="depth (m)")
    axes[0].set_title("Where does it fail?", loc="left")
    assert described(figure) == "Where does it fail? Colours: depth (m) from 0 to 1."


def test_colour_bar_in_given_axes_is_no_panel(panels):
    figure, axes = panels
    figure.colorbar(axes[0].imshow([[0, 1]]), cax=axes[1], label="depth (m)")
    axes[0].set_title("Depth")
    assert described(figure) == "Depth. Colours: depth (m) from 0 to 1."


def test_many_panels_are_counted():
    figure, axes = plt.subplots(3, 4)
    for number, ax in enumerate(axes.flat):
        ax.set_title(f"word {number}")
    assert described(figure).startswith("12 panels: word 0; word 1;")
    assert described(figure).endswith("word 7; and 4 more.")
    plt.close(figure)


def test_figure_without_text_has_no_description(panels):
    assert described(panels[0]) == ""


@pytest.mark.parametrize("drawn", ["cGljdHVyZQ==", ("cGljdHVyZQ==", {"width": 3})])
def test_pictures_carry_their_description(drawn, panels):
    figure, axes = panels
    axes[0].set_title("Depth")
    data, metadata = WithDescription(lambda figure: drawn)(figure)
    assert data == "cGljdHVyZQ==" and metadata["alt"] == "Depth."
    assert metadata["words"] == ["Depth"]
    assert metadata.get("width") == (3 if isinstance(drawn, tuple) else None)


def test_all_words_are_listed_once_and_numbers_are_not(panels):
    figure, axes = panels
    axes[0].plot([1, 2], label="given bins")
    axes[0].set_yticks([1, 2], ["near", "far"])
    axes[0].legend()
    for ax in axes:
        ax.set_xlabel("depth\n(m)")
    axes[1].text(0.5, 0.5, "0.451")
    axes[1].text(0.5, 0.6, "never wins")
    axes[1].text(0.5, 0.7, "hidden", visible=False)
    expected = ["depth (m)", "far", "given bins", "near", "never wins"]
    assert sorted(drawn_words(figure)) == expected


def test_what_cannot_be_drawn_stays_as_it_is(panels):
    assert WithDescription(lambda figure: None)(panels[0]) is None
