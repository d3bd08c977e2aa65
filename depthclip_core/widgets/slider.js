// A slider and a number field for one value. Only their user's input is sent to the kernel: a value
// that the kernel sets is shown and never sent back, so that no message can be an echo.

function render({ model, el }) {
  const [name, unit, digits] = ["label", "unit", "digits"].map((key) => model.get(key));
  const [low, high] = [model.get("low"), model.get("high")];
  // On a logarithmic slider, positions and steps are powers of ten.
  const position = model.get("log") ? Math.log10 : (value) => value;
  const value = model.get("log") ? (at) => 10 ** at : (at) => at;

  const slider = document.createElement("input");
  const number = document.createElement("input");
  const text = document.createElement("span");
  const after = document.createElement("span");
  el.classList.add("depthclip-slider");
  text.textContent = name;
  text.title = name;
  after.textContent = unit;
  Object.assign(slider, { type: "range", min: position(low), max: position(high) });
  Object.assign(number, { type: "number", min: low, max: high });
  slider.step = model.get("step");
  number.step = model.get("log") ? "any" : model.get("step");
  slider.setAttribute("aria-label", name);
  number.setAttribute("aria-label", unit ? `${name}, in ${unit}` : `${name}, as a number`);
  el.append(text, slider, number, after);

  const show = () => {
    const readable = model.get("value").toFixed(digits);
    slider.value = position(model.get("value"));
    slider.setAttribute("aria-valuetext", unit ? `${readable} ${unit}` : readable);
    number.value = readable;
  };
  const send = (wished) => {
    if (Number.isFinite(wished)) {
      const rounded = Number(wished.toPrecision(6)); // steps add up to 1.0000000000000002
      model.set("value", Math.min(Math.max(rounded, low), high));
      model.save_changes();
    }
    show();
  };
  slider.addEventListener("input", () => send(value(slider.valueAsNumber)));
  number.addEventListener("change", () => send(number.valueAsNumber));
  model.on("change:value", show);
  show();
  return () => model.off("change:value", show);
}

export default { render };
