"use strict";
// Shows the values of a picture's series at the pointer, or where the arrow keys have moved to. A picture has panels, and each of them
// places with values: `f` its frame, `d` whether places are heights, `p` places, `w` their width if they are cells, `x` and `u` what they
// are called, `s` series.
(() => {
  const all = JSON.parse(document.getElementById("values").textContent);
  const tip = document.getElementById("tip");
  const grouped = (n) => Math.round(n).toLocaleString("en-US");
  const trimmed = (n, digits) => String(Number(n.toFixed(digits)));
  const number = (n) => {
    const size = Math.abs(n);
    return size >= 99.95 ? grouped(n) : trimmed(n, size >= 9.995 ? 1 : 2);
  };
  const three = (n) => n.toFixed(n < 9.995 ? 2 : n < 99.95 ? 1 : 0);
  const time = (s) => {
    if (s < 0) return "−" + time(-s);
    if (s === 0) return "0s";
    if (s < 1e-6) return Math.round(s * 1e9) + " ns";
    if (s < 999.5e-6) return three(s * 1e6) + " µs";
    if (s < 0.9995) return three(s * 1e3) + " ms";
    if (s < 59.95) return three(s) + " s";
    const tenths = Math.round(s * 10);
    if (s < 3600) return Math.floor(tenths / 600) + "m" + (tenths % 600 ? trimmed((tenths % 600) / 10, 1).padStart(2, "0") + "s" : "");
    const minutes = Math.round(s / 60);
    return Math.floor(minutes / 60) + "h" + (minutes % 60 ? String(minutes % 60).padStart(2, "0") + "m" : "");
  };
  const reads = {
    text: String,
    time,
    count: number,
    number,
    rate: (n) => number(n) + "/s",
    share: (n) => trimmed(n * 100, 1) + " %",
    size: (n) => {
      const unit = n < 1024 ? 0 : Math.min(Math.floor(Math.log2(n) / 10), 4);
      return (unit ? number(n / 2 ** (10 * unit)) : n) + " " + ["B", "KiB", "MiB", "GiB", "TiB"][unit];
    },
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  // The colour that a line has on the page, which the dark changes.
  const color = (figure, hex) => {
    const shown = figure.querySelector(`svg [stroke="${hex}"], svg [fill="${hex}"]`);
    if (!shown || !dark.matches) return hex;
    const style = getComputedStyle(shown);
    return shown.getAttribute("stroke") === hex ? style.stroke : style.fill;
  };

  const nearest = (places, at) => {
    let [low, high] = [0, places.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (places[middle] < at) low = middle;
      else high = middle;
    }
    return Math.abs(places[low] - at) <= Math.abs(places[high] - at) ? low : high;
  };

  const hide = (figure) => {
    tip.hidden = true;
    figure.querySelector(".cursor").hidden = true;
  };

  const show = (figure, data, index) => {
    const picture = figure.querySelector(".picture");
    const cursor = figure.querySelector(".cursor");
    const [left, right, top, bottom] = data.f.map((it) => it / 100);
    const place = data.p[index] / 100;
    const wide = (data.w ?? 0) / 100;
    cursor.style.cssText = data.d
      ? `left:${left}%;width:${right - left}%;top:${place}%;height:1px`
      : `left:${place - wide / 2}%;width:${wide ? wide + "%" : "1px"};top:${top}%;height:${bottom - top}%`;
    cursor.classList.toggle("cell", wide > 0);
    cursor.hidden = false;

    tip.replaceChildren();
    const head = document.createElement("b");
    head.textContent = reads[data.u](data.x[index]);
    tip.append(head);
    for (const series of data.s) {
      const value = series.v[index];
      if (value === null || value === undefined) continue;
      const row = document.createElement("span");
      const swatch = document.createElement("i");
      swatch.style.background = color(figure, series.c);
      const name = document.createElement("em");
      name.textContent = series.n;
      const figureText = document.createElement("span");
      figureText.textContent = reads[series.u](value);
      row.append(swatch, name, figureText);
      tip.append(row);
    }
    tip.hidden = false;
    // Beside the cursor, on the side that has more room, and never off the window.
    const box = picture.getBoundingClientRect();
    const [x, y] = data.d
      ? [box.left + (box.width * (left + right)) / 200, box.top + (box.height * place) / 100]
      : [box.left + (box.width * place) / 100, box.top + (box.height * top) / 100];
    const apart = (box.width * wide) / 200 + 14;
    const beside = x > innerWidth / 2 ? x - tip.offsetWidth - apart : x + apart;
    tip.style.left = Math.max(4, Math.min(beside, innerWidth - tip.offsetWidth - 4)) + "px";
    tip.style.top = Math.max(4, Math.min(y + 8, innerHeight - tip.offsetHeight - 4)) + "px";
  };

  for (const figure of document.querySelectorAll(".plot")) {
    const panels = all[figure.dataset.plot];
    if (!panels) continue;
    const picture = figure.querySelector(".picture");
    let [panel, index] = [0, null];
    const move = (to, place) => {
      [panel, index] = [to, Math.max(0, Math.min(place, panels[to].p.length - 1))];
      show(figure, panels[panel], index);
    };
    const point = (event) => {
      const box = picture.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * 10000;
      const y = ((event.clientY - box.top) / box.height) * 10000;
      // The panel that the pointer is in, or is closest to.
      const away = panels.map(({ f: [left, right, top, bottom] }) => Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom)));
      const closest = away.indexOf(Math.min(...away));
      move(closest, nearest(panels[closest].p, panels[closest].d ? y : x));
    };
    picture.addEventListener("pointermove", point);
    picture.addEventListener("pointerdown", point);
    picture.addEventListener("pointerleave", () => hide(figure));
    figure.addEventListener("blur", () => hide(figure));
    figure.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      if (event.key === "Escape") hide(figure);
      const along = /Up|Down/.test(event.key) === panels[panel].d;
      if (!step || (!along && panels.length < 2)) return;
      event.preventDefault();
      if (along) {
        const from = index ?? (step > 0 ? -1 : panels[panel].p.length);
        move(panel, from + step * (event.shiftKey ? 10 : 1));
      } else {
        const next = Math.max(0, Math.min(panel + step, panels.length - 1));
        move(next, index === null ? 0 : nearest(panels[next].p, panels[panel].p[index]));
      }
    });
  }
  addEventListener("scroll", () => (tip.hidden = true), { passive: true });
})();
