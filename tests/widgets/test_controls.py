"""Messages as a browser sends and receives them, without one."""

from threading import Thread

import pytest

from depthclip_core.widgets.controls import ONE_WISH, Slider


@pytest.fixture
def slider(monkeypatch):
    shown = Slider(value=2.0, high=10.0, step=0.05, label="close", unit="m")
    shown.sent = []
    monkeypatch.setattr(shown, "_send", lambda message, buffers=None: shown.sent.append(message))
    return shown


def wish(slider, value, number):
    data = {"method": "update", "state": {"wish": [value, number]}, "buffer_paths": []}
    slider.comm.handle_msg({"content": {"data": data}, "buffers": []})


def answers(slider):
    return [message["state"] for message in slider.sent if message["method"] == "update"]


def test_wish_sets_the_value_and_is_answered(slider):
    wish(slider, 2.05, 1)
    assert slider.value == 2.05
    assert answers(slider) == [{"value": 2.05, "answered": 1}]


def test_wish_for_the_same_value_is_answered_too(slider):
    wish(slider, 2.0, 1)
    assert slider.value == 2.0
    assert answers(slider) == [{"answered": 1}]


def test_every_wish_counts_however_soon(slider):
    for number, value in enumerate([2.05, 2.1, 2.05, 2.0, 2.05], start=1):
        wish(slider, value, number)
        assert slider.value == value
    assert answers(slider)[-1] == {"value": 2.05, "answered": 5}


def test_wish_after_a_value_from_here_is_taken(slider):
    slider.value = 3.0
    wish(slider, 2.0, 1)
    assert slider.value == 2.0
    assert answers(slider) == [{"value": 3.0}, {"value": 2.0, "answered": 1}]


def test_value_from_here_answers_no_wish(slider):
    slider.value = 3.0
    assert answers(slider) == [{"value": 3.0}]
    assert slider.wish == [0.0, 0]


def test_answer_follows_what_the_value_brings_about(slider):
    slider.observe(lambda change: setattr(slider, "value", 4.0), "value")
    wish(slider, 5.0, 1)
    assert answers(slider) == [{"value": 4.0, "answered": 1}]


def test_values_stay_within_limits(slider):
    for wished, taken in [(11.0, 10.0), (-1.0, 0.0)]:
        slider.value = wished
        assert slider.value == taken
    assert Slider(value=20.0, low=5.0, high=9.0).value == 9.0


def test_a_wish_waits_for_what_another_brings_about():
    """Messages of two controls may be handled in two threads at once."""
    slider, seen = Slider(value=1.0, high=9.0), []
    slider.observe(lambda change: seen.append(change["new"]), "value")
    with ONE_WISH:
        other = Thread(target=lambda: slider.set_trait("wish", [3.0, 1]))
        other.start()
        other.join(0.2)
        assert seen == []
        slider.value = 2.0  # a preset, still at work
    other.join()
    assert seen == [2.0, 3.0] and slider.answered == 1
