"""A page with an explorer's controls, without a browser: the messages that it sends."""


def wish(*wishes) -> None:
    """Send in one message what a person wishes of controls: (control, wish) pairs."""
    queue = wishes[0][0].wishes
    assert all(control.wishes is queue for control, _ in wishes)
    content = {
        "page": "a page",
        "number": 1,
        "wishes": [[control.place, wished] for control, wished in wishes],
    }
    data = {"method": "custom", "content": content}
    queue.comm.handle_msg({"content": {"data": data}, "buffers": []})
