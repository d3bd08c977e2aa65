// A picture that scales with its column as far as its letters can be read, and else scrolls. It
// reports clicks, and is read out when it changes.

const PAUSE = 600; // milliseconds without a change after which a picture is read out

function render({ model, el }) {
  const [width, height] = [model.get("width"), model.get("height")];
  // A click gives it the focus, so that keys pressed after it do not go to JupyterLab.
  const picture = make("img", { width, height, draggable: false, tabIndex: -1 });
  const spoken = make("div", { className: "depthclip-spoken", attributes: { role: "status" } });
  picture.style.minWidth = `${model.get("least_width")}px`;
  const scroller = make("div", { className: "depthclip-scroll" }, picture);
  el.classList.add("depthclip-picture");
  el.append(scroller, spoken);
  // Arrow keys scroll the box: where there is something to scroll, it can have the focus.
  const reachable = new ResizeObserver(() => {
    const attributes = { tabindex: 0, role: "group", "aria-label": "picture, scrolls sideways" };
    const scrolls = scroller.scrollWidth > scroller.clientWidth;
    for (const [name, value] of Object.entries(attributes))
      scrolls ? scroller.setAttribute(name, value) : scroller.removeAttribute(name);
  });
  reachable.observe(scroller);

  let address = "";
  const show = () => {
    URL.revokeObjectURL(address);
    const value = model.get("value");
    const type = value.getUint8?.(0) === 0xff ? "image/jpeg" : "image/png";
    address = URL.createObjectURL(new Blob([value], { type }));
    picture.src = address;
  };
  let timer;
  const describe = () => {
    picture.alt = model.get("alt");
    clearTimeout(timer);
    timer = setTimeout(() => (spoken.textContent = picture.alt), PAUSE);
  };
  const wishes = connect({ model, el, names: [], show: () => {} });
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * width;
    const y = ((event.clientY - box.top) / box.height) * height;
    wishes.wish([x, y]);
  });
  model.on("change:value", show);
  model.on("change:alt", describe);
  show();
  picture.alt = model.get("alt");
  return () => {
    wishes.stop();
    reachable.disconnect();
    clearTimeout(timer);
    URL.revokeObjectURL(address);
    model.off("change:value", show);
    model.off("change:alt", describe);
  };
}

export default { render };
