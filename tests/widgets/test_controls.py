"""What controls do with a page's wishes, and how their queue answers."""

from threading import Thread

import pytest
import traitlets
from pages import wish

from depthclip_core.widgets.controls import Button, Choice, Entry, ShownPicture, Slider
from depthclip_core.widgets.wishes import ONE_WISH, Wishes


@pytest.fixture
def slider():
    return Slider(value=2.0, high=10.0, step=0.05, label="close", unit="m")


@pytest.fixture
def sent(slider, monkeypatch):
    """What the queue sends to its pages."""
    sent = []
    monkeypatch.setattr(slider.wishes, "send", sent.append)
    return sent


def test_wish_sets_the_value_and_is_answered(slider, sent):
    wish((slider, 2.05))
    assert slider.value == 2.05
    assert sent == [{"page": "a page", "answered": 1}]


def test_every_wish_counts(slider):
    for value in [2.05, 2.1, 2.05, 2.0, 2.05]:
        wish((slider, value))
        assert slider.value == value
    slider.value = 3.0
    wish((slider, 2.05))
    assert slider.value == 2.05


def test_answer_follows_what_the_wishes_bring_about(slider, sent):
    slider.observe(lambda change: sent.append(change["new"]), "value")
    slider.wishes.settle = lambda: sent.append("settled")
    wish((slider, 5.0), (slider, 6.0))
    assert sent == [5.0, 6.0, "settled", {"page": "a page", "answered": 1}]


def test_wish_that_fails_is_answered_too(slider, sent):
    slider.observe(lambda change: 1 / 0, "value")
    wish((slider, 5.0))
    assert sent == [{"page": "a page", "answered": 1}]
    assert not slider.wishes.taking


def test_values_stay_within_limits(slider):
    for wished, taken in [(11.0, 10.0), (-1.0, 0.0)]:
        slider.value = wished
        assert slider.value == taken
    assert Slider(value=20.0, low=5.0, high=9.0).value == 9.0


def test_wishes_of_several_controls_keep_their_order(slider):
    preset, seen = Button(description="preset"), []
    preset.on_click(lambda _: setattr(slider, "value", 7.0))
    slider.observe(lambda change: seen.append(change["new"]), "value")
    shared = Wishes()
    for control in (preset, slider):
        shared.adopt(control)
    wish((slider, 3.0), (preset, 1), (slider, 4.0))
    assert seen == [3.0, 7.0, 4.0]


def test_button_counts_its_presses():
    button, presses = Button(description="next"), []
    button.on_click(presses.append)
    wish((button, 3))
    assert presses == [button] * 3


def test_choice_takes_what_was_listed():
    choice = Choice([("a", 10), ("b", 20)], 10, description="frame")
    wish((choice, [1, "b"]))
    assert (choice.value, choice.index) == (20, 1)
    choice.choose_from([("b", 20), ("c", 30)], 20)
    assert (choice.value, choice.index, choice.labels) == (20, 0, ["b", "c"])
    wish((choice, [0, "a"]))  # wished of the old list
    wish((choice, [7, "z"]))
    assert choice.value == 20
    with pytest.raises(traitlets.TraitError, match="10 is not in the list “frame”"):
        choice.value = 10


def test_entry_and_picture_take_wishes():
    entry, picture, clicks = Entry(value="near"), ShownPicture(), []
    wish((entry, "far"))
    assert entry.value == "far"
    picture.observe(lambda change: clicks.append(change["new"][:2]), "click")
    wish((picture, [3, 4]))
    wish((picture, [3, 4]))
    assert clicks == [[3, 4], [3, 4]]


def test_a_wish_waits_for_what_another_thread_does(slider):
    seen = []
    slider.observe(lambda change: seen.append(change["new"]), "value")
    with ONE_WISH:
        other = Thread(target=lambda: wish((slider, 3.0)))
        other.start()
        other.join(0.2)
        assert seen == []
        slider.value = 2.5
    other.join()
    assert seen == [2.5, 3.0]
