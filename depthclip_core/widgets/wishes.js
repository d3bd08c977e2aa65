// What a person wishes of an explorer's controls, in one order. A page sends one message, waits for
// its answer, and then sends all that was wished meanwhile. Of what one control was wished several
// times in a row, only the last waits; presses of a button add up.

const WISHES = Symbol.for("depthclip.wishes");

/** The queue of a control's explorer, which all its controls on this page share. */
async function wishesOf(model) {
  const id = model.get("wishes").replace("IPY_MODEL_", "");
  const shared = await model.widget_manager.get_model(id);
  return (shared[WISHES] ??= queueOf(shared));
}

function queueOf(shared) {
  const page = Math.random().toString(36).slice(2); // another page's answers are not for this one
  const listeners = new Set();
  let [waiting, sent, answered] = [[], 0, 0];
  const send = () => {
    if (sent > answered || !waiting.length) return;
    sent += 1;
    shared.send({ page, number: sent, wishes: waiting });
    waiting = [];
  };
  shared.on("msg:custom", (message) => {
    if (message.page !== page) return;
    answered = message.answered;
    send();
    listeners.forEach((listener) => listener());
  });
  return {
    wish(control, wished, adds = false) {
      const last = waiting.at(-1);
      if (last?.[0] !== control) waiting.push([control, wished]);
      else last[1] = adds ? last[1] + wished : wished;
      send();
      listeners.forEach((listener) => listener());
    },
    get open() {
      return sent > answered || waiting.length > 0;
    },
    listeners,
  };
}

/**
 * Connect a view in `el` with its explorer's queue. `show` shows what the kernel says; it is called
 * when one of `names` changes and nothing wished is open: until then the kernel's value may be an
 * old one, and the explorer is marked as busy. Returns `wish(value, adds)`, and `stop()`, which ends
 * the connection.
 */
function connect({ model, el, names, show }) {
  const place = model.get("place");
  const changes = names.map((name) => `change:${name}`).join(" ");
  let [queue, early] = [null, []]; // wishes made before the queue is known
  const settled = () => {
    const open = Boolean(queue?.open || early.length);
    el.closest(".depthclip-explorer")?.setAttribute("aria-busy", open);
    if (!open) show();
  };
  const ready = wishesOf(model).then((found) => {
    queue = found;
    queue.listeners.add(settled);
    early.splice(0).forEach((wished) => queue.wish(place, ...wished));
  });
  model.on(changes, settled);
  return {
    wish: (...wished) => (queue ? queue.wish(place, ...wished) : early.push(wished)),
    stop: () => {
      model.off(changes, settled);
      ready.then(() => queue.listeners.delete(settled));
    },
  };
}

/** A new element with properties, attributes and children. */
function make(tag, { attributes = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  element.append(...children);
  // JupyterLab's own keys, such as "dd", are off while this element has the focus.
  element.setAttribute("data-lm-suppress-shortcuts", "true");
  return element;
}

/**
 * Let a person type into a field. Half-typed text stays, whatever the kernel says. A value from the
 * kernel that comes while the field has the focus is selected, so that typing replaces it. `take`
 * gets the text when it is finished, or, if `live`, at each key.
 */
function typing(field, take, live = false) {
  let typed = false;
  const finish = () => {
    if (!typed) return;
    typed = false;
    take(field.value);
  };
  field.addEventListener("input", () => {
    typed = true;
    if (live) finish();
  });
  field.addEventListener("change", finish);
  field.addEventListener("blur", finish);
  // A browser calls it no change if the same text was in the field before a preset.
  field.addEventListener("keydown", ({ key }) => key === "Enter" && finish());
  return (text) => {
    if (typed || field.value === text) return;
    field.value = text;
    if (document.activeElement === field) field.select();
  };
}
