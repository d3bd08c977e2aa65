// Saves files that the kernel sends. Once for each file, however often the explorer is shown.

function initialize({ model }) {
  const save = ({ name }, buffers) => {
    const address = URL.createObjectURL(new Blob(buffers));
    const link = Object.assign(document.createElement("a"), { href: address, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  };
  model.on("msg:custom", save);
  return () => model.off("msg:custom", save);
}

export default { initialize };
