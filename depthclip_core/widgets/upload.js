// A button that sends files to the kernel, in parts that every server's connection lets through.

const PART = 2 ** 19; // bytes

function render({ model, el }) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  const status = document.createElement("span");
  el.classList.add("depthclip-upload");
  Object.assign(input, { type: "file", multiple: true, accept: model.get("kinds") });
  label.append(input, model.get("label"));
  status.setAttribute("role", "status");
  el.append(label, status);

  /** Send the file that is the nth, from 0, of those chosen together. */
  const send = async (file, nth) => {
    const parts = Math.max(1, Math.ceil(file.size / PART));
    const facts = { name: file.name, size: file.size, parts, nth };
    if (file.size > model.get("most")) return model.send({ ...facts, part: 0 });
    status.textContent = `sending ${file.name} …`;
    for (let part = 0; part < parts; part++) {
      const bytes = await file.slice(part * PART, (part + 1) * PART).arrayBuffer();
      model.send({ ...facts, part }, undefined, [bytes]);
    }
  };
  const sendAll = async (files) => {
    for (const [nth, file] of files.entries()) {
      try {
        await send(file, nth);
      } catch (error) {
        status.textContent = `cannot read ${file.name}: ${error.message}`;
      }
    }
    input.value = ""; // the same file can be chosen again
  };
  const received = ({ taken }) => {
    if (taken) status.textContent = "";
  };
  input.addEventListener("change", () => sendAll([...input.files]));
  const over = (event) => {
    event.preventDefault();
    event.stopPropagation();
    el.classList.toggle("depthclip-drop", event.type === "dragover");
    if (event.type === "drop") sendAll([...event.dataTransfer.files]);
  };
  for (const kind of ["dragover", "dragleave", "drop"]) el.addEventListener(kind, over);
  model.on("msg:custom", received);
  return () => model.off("msg:custom", received);
}

export default { render };
