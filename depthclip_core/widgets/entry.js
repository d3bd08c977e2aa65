// A line of text.

function render({ model, el }) {
  const name = model.get("description");
  const about = { type: "text", placeholder: model.get("placeholder"), spellcheck: false };
  const field = make("input", { ...about, attributes: { "aria-label": name } });
  el.classList.add("depthclip-field");
  el.append(make("span", { textContent: name }), field);
  const write = typing(field, (text) => wishes.wish(text), model.get("live"));
  const wishes = connect({ model, el, names: ["value"], show: () => write(model.get("value")) });
  field.value = model.get("value");
  return wishes.stop;
}

export default { render };
