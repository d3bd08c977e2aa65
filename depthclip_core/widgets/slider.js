// A slider and a number field for one value.

function render({ model, el }) {
  const [name, unit, digits] = ["label", "unit", "digits"].map((key) => model.get(key));
  const [low, high] = [model.get("low"), model.get("high")];
  // On a logarithmic slider, positions and steps are powers of ten.
  const position = model.get("log") ? Math.log10 : (value) => value;
  const value = model.get("log") ? (at) => 10 ** at : (at) => at;

  const range = { type: "range", min: position(low), max: position(high), step: model.get("step") };
  const numbers = { type: "number", min: low, max: high };
  numbers.step = model.get("log") ? "any" : model.get("step");
  const title = unit ? `${name}, in ${unit}` : `${name}, as a number`;
  const slider = make("input", { ...range, attributes: { "aria-label": name } });
  const number = make("input", { ...numbers, attributes: { "aria-label": title } });
  el.classList.add("depthclip-slider");
  const after = make("span", { textContent: unit });
  el.append(make("span", { textContent: name, title: name }), slider, number, after);

  const showIn = (shown) => {
    const readable = shown.toFixed(digits);
    slider.value = position(shown);
    slider.setAttribute("aria-valuetext", unit ? `${readable} ${unit}` : readable);
    write(readable);
  };
  const send = (wished) => {
    if (!Number.isFinite(wished)) return showIn(model.get("value"));
    const rounded = Number(wished.toPrecision(6)); // steps add up to 1.0000000000000002
    const within = Math.min(Math.max(rounded, low), high);
    showIn(within);
    wishes.wish(within);
  };
  const write = typing(number, () => send(number.valueAsNumber));
  const wishes = connect({ model, el, names: ["value"], show: () => showIn(model.get("value")) });
  slider.addEventListener("input", () => send(value(slider.valueAsNumber)));
  showIn(model.get("value"));
  return wishes.stop;
}

export default { render };
