// A cloud of points, seen at first from near the camera that took the photograph. `Plotly` is
// defined above.

function render({ model, el }) {
  const whole = document.createElement("div");
  whole.className = "depthclip-cloud";
  whole.setAttribute("role", "img");
  el.append(whole);
  const axis = (letter) => ({ title: { text: `${letter} (m)` }, color: "#444" });
  const layout = {
    scene: {
      aspectmode: "data",
      xaxis: axis("x"),
      yaxis: axis("y"),
      zaxis: axis("z"),
      camera: { up: { x: 0, y: 1, z: 0 }, eye: { x: 0.4, y: 0.4, z: 1.7 } },
    },
    margin: { l: 0, r: 0, t: 0, b: 0 },
    paper_bgcolor: "#fff",
    uirevision: "kept", // other points leave the view as it is
  };
  const options = { responsive: true, displaylogo: false };

  const draw = () => {
    const bytes = model.get("points");
    const n = bytes.byteLength / 12;
    const column = (place) =>
      Float32Array.from({ length: n }, (_, i) => bytes.getFloat32(12 * i + 4 * place, true));
    const colours = model.get("colours");
    const shade = (_, i) => `rgb(${[0, 1, 2].map((c) => colours.getUint8(3 * i + c)).join(",")})`;
    const color = Array.from({ length: n }, shade);
    const [x, y, z] = [0, 1, 2].map(column);
    const marker = { size: 2, color };
    const points = { type: "scatter3d", mode: "markers", x, y, z, marker, hoverinfo: "skip" };
    whole.setAttribute("aria-label", `cloud of ${n} points; drag it to turn it around`);
    return Plotly.react(whole, [points], layout, options);
  };
  let waiting = false;
  const drawSoon = () => {
    if (waiting) return;
    waiting = true;
    queueMicrotask(() => {
      waiting = false;
      draw();
    });
  };
  // It takes its size from the page, on which it is not yet.
  requestAnimationFrame(draw);
  model.on("change:points change:colours", drawSoon);
  return () => {
    model.off("change:points change:colours", drawSoon);
    Plotly.purge(whole);
  };
}

export default { render };
