// A picture that scales with its column, reports clicks, and is read out when it changes.

const PAUSE = 600; // milliseconds without a change after which a picture is read out

function render({ model, el }) {
  const picture = document.createElement("img");
  const spoken = document.createElement("div");
  el.classList.add("depthclip-picture");
  spoken.className = "depthclip-spoken";
  spoken.setAttribute("role", "status");
  picture.width = model.get("width");
  picture.height = model.get("height");
  picture.draggable = false;
  el.append(picture, spoken);

  let address = "";
  const show = () => {
    URL.revokeObjectURL(address);
    address = URL.createObjectURL(new Blob([model.get("value")], { type: "image/png" }));
    picture.src = address;
  };
  let timer;
  const describe = () => {
    picture.alt = model.get("alt");
    clearTimeout(timer);
    timer = setTimeout(() => (spoken.textContent = picture.alt), PAUSE);
  };
  // A state and no event: while the kernel is busy, only the last click waits.
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * model.get("width");
    const y = ((event.clientY - box.top) / box.height) * model.get("height");
    model.set("click", [x, y, model.get("click")[2] + 1]);
    model.save_changes();
  });
  model.on("change:value", show);
  model.on("change:alt", describe);
  show();
  picture.alt = model.get("alt");

  // JupyterLab's own keys, such as "dd", are off while a control of the explorer has the focus. It
  // looks for this attribute on the control itself.
  const keep = ({ target }) => target.setAttribute("data-lm-suppress-shortcuts", "true");
  let waiting = requestAnimationFrame(function keepKeys() {
    const explorer = el.closest(".depthclip-explorer");
    if (explorer) explorer.addEventListener("focusin", keep);
    else waiting = requestAnimationFrame(keepKeys); // not on the page yet
  });
  return () => {
    cancelAnimationFrame(waiting);
    clearTimeout(timer);
    URL.revokeObjectURL(address);
    model.off("change:value", show);
    model.off("change:alt", describe);
  };
}

export default { render };
