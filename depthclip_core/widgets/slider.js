// A slider and a number field for one value. Only their user's wishes are sent to the kernel,
// numbered; a value that the kernel sets is shown and never sent back, so that no wish is an echo.
// A value is shown once the kernel has answered the last wish: until then it may be an old one.

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

  let typing = false; // a half-typed number stays
  const show = (shown) => {
    const readable = shown.toFixed(digits);
    slider.value = position(shown);
    slider.setAttribute("aria-valuetext", unit ? `${readable} ${unit}` : readable);
    if (!typing) number.value = readable;
  };
  const answer = () => {
    if (model.get("answered") >= model.get("wish")[1]) show(model.get("value"));
  };
  const send = (wished) => {
    if (!Number.isFinite(wished)) return answer();
    const rounded = Number(wished.toPrecision(6)); // steps add up to 1.0000000000000002
    const within = Math.min(Math.max(rounded, low), high);
    show(within);
    model.set("wish", [within, model.get("wish")[1] + 1]);
    model.save_changes();
  };
  slider.addEventListener("input", () => send(value(slider.valueAsNumber)));
  number.addEventListener("input", () => (typing = true));
  const typed = () => {
    if (!typing) return;
    typing = false;
    send(number.valueAsNumber);
  };
  number.addEventListener("change", typed);
  number.addEventListener("blur", typed);
  // A browser calls it no change if the same number was in the field before a preset.
  number.addEventListener("keydown", ({ key }) => key === "Enter" && typed());
  model.on("change:value change:answered", answer);
  show(model.get("value"));
  return () => model.off("change:value change:answered", answer);
}

export default { render };
