import os
def test_look(notebook):
    page = notebook
    page.wait_for_timeout(1500)
    out = os.environ["SHOTS"]
    boxes = page.locator(".depthclip-explorer")
    print(boxes.count())
    for i in range(boxes.count()):
        boxes.nth(i).evaluate("e => e.scrollIntoView()")
        page.wait_for_timeout(800)
        page.screenshot(path=f"{out}/at{i}.png")
        print(boxes.nth(i).bounding_box())
    print(page.evaluate("[...document.querySelectorAll('.depthclip-picture img')].map(e=>e.alt+' '+e.width)"))
