// SPDX-License-Identifier: MIT
(() => {
  const source = document.getElementById("data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const left = 118, right = 70, width = 1040;
  const box = document.createElement("div");
  box.id = "read";
  const hair = document.createElement("div");
  hair.id = "hair";
  document.body.append(box);
  const watts = (pair) => {
    if (pair === null) return "";
    const say = (w) => w.toLocaleString("en").replace(/,/g, "\u202f").replace("-", "\u2212");
    return typeof pair === "number" ? say(pair) : say(pair[0]) + " to " + say(pair[1]);
  };
  const clock = (t) => {
    const s = Math.floor(t), two = (n) => String(n).padStart(2, "0");
    return Math.floor(s / 3600) + ":" + two(Math.floor(s / 60) % 60) + ":" + two(s % 60);
  };
  const leave = () => { box.style.display = hair.style.display = "none"; };
  for (const figure of document.querySelectorAll(".timeline")) {
    figure.addEventListener("pointerleave", leave);
    figure.addEventListener("pointermove", (event) => {
      const area = figure.querySelector("svg").getBoundingClientRect();
      const x = ((event.clientX - area.left) / area.width) * width;
      const share = (x - left) / (width - left - right);
      if (share < 0 || share >= 1) return leave();
      const column = Math.floor(share * data.columns);
      const rows = document.createElement("table");
      const put = (name, value) => {
        const row = rows.insertRow();
        row.insertCell().textContent = name;
        row.insertCell().textContent = value;
      };
      put("time", clock(data.from + share * (data.to - data.from)));
      for (const [name, values] of Object.entries(data.series)) {
        if (values[column] !== null) put(name.replace(/_w$/, "").replace(/_/g, " "), watts(values[column]) + " W");
      }
      box.replaceChildren(rows);
      box.style.display = "block";
      const flip = event.clientX > window.innerWidth / 2;
      box.style.left = event.clientX + (flip ? -box.offsetWidth - 18 : 18) + "px";
      box.style.top = Math.min(event.clientY + 12, window.innerHeight - box.offsetHeight - 8) + "px";
      figure.append(hair);
      hair.style.display = "block";
      hair.style.left = event.clientX - figure.getBoundingClientRect().left + "px";
    });
  }
})();
