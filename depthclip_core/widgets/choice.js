// A list to choose one entry from.

function render({ model, el }) {
  const name = model.get("description");
  const select = make("select", { attributes: { "aria-label": name } });
  el.classList.add("depthclip-field");
  el.append(make("span", { textContent: name }), select);
  let listed;
  const show = () => {
    const labels = model.get("labels");
    if (JSON.stringify(labels) !== listed) {
      select.replaceChildren(...labels.map((label) => make("option", { textContent: label })));
      listed = JSON.stringify(labels);
    }
    select.selectedIndex = model.get("index");
  };
  const wishes = connect({ model, el, names: ["labels", "index"], show });
  // The label goes with its place: the kernel may have listed others since.
  select.addEventListener("change", () => {
    wishes.wish([select.selectedIndex, select.selectedOptions[0].textContent]);
  });
  show();
  return wishes.stop;
}

export default { render };
