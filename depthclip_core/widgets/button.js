// A button; presses that wait for the kernel add up.

function render({ model, el }) {
  const button = make("button", { type: "button", textContent: model.get("description") });
  el.classList.add("depthclip-button");
  el.append(button);
  const wishes = connect({ model, el, names: [], show: () => {} });
  button.addEventListener("click", () => wishes.wish(1, true));
  return wishes.stop;
}

export default { render };
