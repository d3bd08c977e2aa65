"""What the store's commands cost on many chunks; here on few, only that it is measured."""

import many_chunks

from depthclip_core.encoding.store import Store


def test_every_command_is_measured_on_an_array_of_that_size(monkeypatch):
    sizes, contents = [], Store.arrays

    def noted(self):
        found = contents(self)
        sizes.extend(len(array.present()) for array in found)
        return found

    monkeypatch.setattr(Store, "arrays", noted)
    measured = list(many_chunks.measure(3))
    assert [name for name, *_ in measured] == [
        "store list",
        "store verify KEY",
        "store prune",
        "store prune KEY --dry-run",
        "store prune KEY",
    ]
    assert set(sizes) == {3} and all(seconds > 0 for _, seconds, _ in measured)
