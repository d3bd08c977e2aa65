// A photograph beside its depth. The depth and the weights of all cells are here, so that the
// pointer is answered by the page itself.

const PAUSE = 600; // milliseconds after which a newly pinned cell is read out
const STEPS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20]; // metres between the marks of a scale
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** A new element with properties, attributes and children. */
function element(tag, { attributes = {}, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  made.append(...children);
  return made;
}

/** A picture with its caption and the marks of the pinned cell and of the one below the pointer. */
function pane() {
  const picture = element("img", { draggable: false });
  const marks = ["pinned", "pointed"].map((kind) =>
    element("div", { className: `depthclip-mark depthclip-${kind}`, hidden: true }),
  );
  const frame = element("div", { className: "depthclip-cells", tabIndex: 0 }, picture, ...marks);
  // JupyterLab's own keys are off while the picture has the focus.
  const attributes = { role: "application", "data-lm-suppress-shortcuts": "true" };
  Object.entries(attributes).forEach(([name, value]) => frame.setAttribute(name, value));
  const caption = element("figcaption");
  return { picture, marks, frame, caption, whole: element("figure", {}, caption, frame) };
}

function render({ model, el }) {
  const panes = { photo: pane(), depth: pane() };
  const scale = element("div", { className: "depthclip-scale", attributes: { role: "img" } });
  const [strip, ticks] = [element("div"), element("div")];
  scale.append(strip, ticks);
  const body = element("tbody");
  const heads = ["word", "bin (m)", "", ""].map((textContent) => element("th", { textContent }));
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body);
  const spoken = element("div", { className: "depthclip-spoken", attributes: { role: "status" } });
  const maps = element("div", { className: "depthclip-maps" }, panes.photo.whole);
  maps.append(panes.depth.whole, scale);
  el.classList.add("depthclip-depth-view");
  el.append(maps, table, spoken);

  let pointed = null;
  let numbers = { cells: new Float32Array(), weights: new Float32Array() };
  const floats = (view) =>
    Float32Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
  const place = ([row, column]) => row * model.get("grid")[1] + column;
  const said = (cell) =>
    `row ${cell[0]}, column ${cell[1]}: ${numbers.cells[place(cell)].toFixed(2)} m`;

  const mark = () => {
    const [rows, columns] = model.get("grid");
    if (numbers.cells.length !== rows * columns) return; // those of the new grid are shown soon
    const cells = [model.get("pinned"), pointed];
    for (const { marks } of Object.values(panes)) {
      marks.forEach((box, i) => {
        box.hidden = !cells[i];
        if (!cells[i]) return;
        const [row, column] = cells[i];
        Object.assign(box.style, {
          top: `${(100 * row) / rows}%`,
          left: `${(100 * column) / columns}%`,
          height: `${100 / rows}%`,
          width: `${100 / columns}%`,
        });
      });
    }
    heads[2].textContent = `pinned: ${said(cells[0])}`;
    heads[3].textContent = pointed ? `pointer: ${said(pointed)}` : "pointer: not on a picture";
    const n = rows * columns;
    [...body.rows].forEach((line, word) => {
      cells.forEach((cell, i) => {
        const weight = cell && numbers.weights[word * n + place(cell)];
        const [bar, text] = line.cells[2 + i].firstChild.children;
        bar.style.width = `${60 * (weight ?? 0)}%`;
        text.textContent = cell ? `${(100 * weight).toFixed(0)} %` : "";
      });
    });
  };
  let timer;
  const speak = () => {
    clearTimeout(timer);
    timer = setTimeout(() => (spoken.textContent = said(model.get("pinned"))), PAUSE);
  };
  const list = () => {
    const bins = model.get("bins");
    const gauge = (kind) =>
      element("td", {}, element("div", { className: kind }, element("i"), element("span")));
    const lines = model.get("words").map((word, i) => {
      const metres = element("td", { textContent: bins[i].toFixed(2) });
      const name = element("td", { textContent: word, title: word });
      const gauges = ["depthclip-weight", "depthclip-weight depthclip-at"].map(gauge);
      return element("tr", {}, name, metres, ...gauges);
    });
    body.replaceChildren(...lines);
  };
  const rule = () => {
    const [near, far] = model.get("limits");
    const step = STEPS.find((metres) => (far - near) / metres <= 6) ?? (far - near) / 5;
    const marks = [];
    for (let k = Math.ceil(near / step - 1e-6); k * step <= far + 1e-6; k++) {
      const tick = element("span", { textContent: `${Number((k * step).toFixed(2))} m` });
      tick.style.bottom = `${(100 * (k * step - near)) / (far - near)}%`;
      marks.push(tick);
    }
    strip.style.background = `linear-gradient(to top, ${model.get("colours").join(", ")})`;
    ticks.replaceChildren(...marks);
    scale.setAttribute("aria-label", `colours: depth from ${near} m, dark, to ${far} m, bright`);
  };

  const addresses = {};
  const load = (kind, type) => {
    URL.revokeObjectURL(addresses[kind]);
    addresses[kind] = URL.createObjectURL(new Blob([model.get(kind)], { type }));
    panes[kind].picture.src = addresses[kind];
  };
  const show = () => {
    const grid = model.get("grid");
    if (pointed?.some((at, i) => at >= grid[i])) pointed = null; // of a larger grid
    numbers = { cells: floats(model.get("cells")), weights: floats(model.get("weights")) };
    load("depth", "image/png");
    list();
    rule();
    mark();
    const [low, high] = [Math.min(...numbers.cells), Math.max(...numbers.cells)];
    panes.depth.picture.alt = `predicted depth, from ${low.toFixed(2)} to ${high.toFixed(2)} m`;
    speak();
  };
  const showPhoto = () => {
    load("photo", "image/jpeg");
    const name = model.get("name");
    panes.photo.caption.textContent = panes.photo.caption.title = name;
    panes.photo.picture.alt = `photograph ${name}`;
    for (const { picture, frame } of Object.values(panes)) {
      picture.width = model.get("width");
      picture.height = model.get("height");
      frame.style.aspectRatio = `${model.get("width")} / ${model.get("height")}`;
      frame.setAttribute("aria-label", `${name}: arrow keys move the pinned cell`);
    }
  };
  panes.depth.caption.textContent = "predicted depth";

  const pin = (cell) => {
    model.set("pinned", cell);
    model.save_changes();
  };
  for (const { frame } of Object.values(panes)) {
    const cellAt = (event) => {
      const box = frame.getBoundingClientRect();
      const [rows, columns] = model.get("grid");
      const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
      const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
      return [Math.min(Math.max(row, 0), rows - 1), Math.min(Math.max(column, 0), columns - 1)];
    };
    frame.addEventListener("pointermove", (event) => {
      pointed = cellAt(event);
      mark();
    });
    frame.addEventListener("pointerleave", () => {
      pointed = null;
      mark();
    });
    frame.addEventListener("click", (event) => pin(cellAt(event)));
    frame.addEventListener("keydown", (event) => {
      if (!(event.key in MOVES)) return;
      event.preventDefault();
      event.stopPropagation();
      const ends = model.get("grid");
      const to = model.get("pinned").map((at, i) => at + MOVES[event.key][i]);
      pin(to.map((at, i) => Math.min(Math.max(at, 0), ends[i] - 1)));
    });
  }
  // What the kernel sends together is shown once.
  let waiting = false;
  const showSoon = () => {
    if (waiting) return;
    waiting = true;
    queueMicrotask(() => {
      waiting = false;
      show();
    });
  };
  const pinnedAt = () => {
    mark();
    if (!waiting) speak();
  };
  const listeners = { "change:photo change:name": showPhoto, "change:pinned": pinnedAt };
  for (const name of ["depth", "weights", "words", "bins"]) listeners[`change:${name}`] = showSoon;
  Object.entries(listeners).forEach(([change, listener]) => model.on(change, listener));
  showPhoto();
  show();
  return () => {
    clearTimeout(timer);
    Object.entries(listeners).forEach(([change, listener]) => model.off(change, listener));
    Object.values(addresses).forEach((address) => URL.revokeObjectURL(address));
  };
}

export default { render };
