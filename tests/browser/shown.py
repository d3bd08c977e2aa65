"""An explorer on a page, as a person sees and uses it."""

import re

from depthclip_core.widgets.pictures import DPI


def letters(picture, text: int) -> float:
    """How large a picture's smallest letters are on the page, in pixels.

    text: size of the others in points. Numbers of colour bars are a point smaller.
    """
    width = picture.bounding_box()["width"]
    return (text - 1) * DPI / 72 * width / picture.evaluate("image => image.naturalWidth")


class Shown:
    """One of the page's explorers, by its place on the page; it is scrolled to the top.

    page: playwright's. picture: the image. Every control is found by the name that assistive
    technology reads out.
    """

    def __init__(self, page, place: int):
        self.page, self.box = page, page.locator(".depthclip-explorer").nth(place)
        self.picture = self.box.locator(".depthclip-picture img")
        self.frame = self.box.locator(".depthclip-scroll")  # in which a wide picture scrolls
        self.box.evaluate("element => element.scrollIntoView()")

    def slider(self, name):
        return self.box.get_by_role("slider", name=name, exact=True)

    def number(self, name):
        return self.box.get_by_role("spinbutton", name=name, exact=True)

    def button(self, name):
        return self.box.get_by_role("button", name=name, exact=True)

    def field(self, name):
        return self.box.get_by_label(name, exact=True)

    @property
    def alert(self):
        return self.box.get_by_role("alert")

    @property
    def metrics(self) -> list[str]:
        """What the row "now" of the metrics' table says."""
        return self.box.locator(".dataframe tr", has_text="now").locator("td").all_inner_texts()

    @property
    def bins(self) -> list[str]:
        return [field.input_value() for field in self.box.get_by_role("spinbutton").all()][:7]

    def cell(self) -> tuple[int, int]:
        found = re.search(r"row (\d+), column (\d+)", self.picture.get_attribute("alt"))
        return int(found[1]), int(found[2])

    def click_cell(self, row: int, column: int, delay: int = 0) -> None:
        """Click on a cell of the photograph, which is 22 pixels wide and high in the picture."""
        box = self.picture.bounding_box()
        scale = box["width"] / 838
        self.page.mouse.click(
            box["x"] + (4 + 22 * (column + 0.5)) * scale,
            box["y"] + (24 + 22 * (row + 0.5)) * scale,
        )
        self.page.wait_for_timeout(delay)

    def press(self, control, *keys: str) -> None:
        control.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def drag(self, name: str, to: float) -> None:
        drag(self.page, self.slider(name), to)

    def type(self, field, text: str) -> None:
        field.fill(text)
        field.press("Enter")

    def settle(self) -> None:
        """Wait until all that was wished has been answered, and what it changed is shown."""
        before, quiet = None, 0
        while quiet < 2:
            self.page.wait_for_timeout(120)
            busy = self.box.get_attribute("aria-busy") == "true"
            now = (self.picture.get_attribute("src"), self.bins, self.alert.all_inner_texts())
            quiet = quiet + 1 if now == before and not busy else 0
            before = now


def shown(page, place: int) -> Shown:
    explorer = Shown(page, place)
    explorer.settle()
    return explorer


def drag(page, slider, to: float) -> None:
    """Drag a linear slider's handle to a share of the slider's length."""
    box = slider.bounding_box()
    low, high = (float(slider.get_attribute(end)) for end in ("min", "max"))
    share = (float(slider.input_value()) - low) / (high - low)
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 8 + (box["width"] - 16) * share, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * to, middle, steps=12)
    page.mouse.up()


def contrast(*colours: str) -> float:
    """The contrast ratio of WCAG 2.1 between two colours, "rgb(r, g, b)"."""
    light = []
    for colour in colours:
        channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        light.append(sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True)))
    dark, bright = sorted(light)
    return (bright + 0.05) / (dark + 0.05)
