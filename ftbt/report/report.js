"use strict";
(() => {
  const root = document.documentElement;
  const button = document.querySelector("button.theme");
  if (!button) return;
  const names = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" };
  const order = Object.keys(names);
  const show = (theme) => {
    if (theme === "auto") root.removeAttribute("data-theme");
    else root.dataset.theme = theme;
    button.textContent = names[theme];
    button.value = theme;
  };
  button.hidden = false;
  show("auto");
  button.addEventListener("click", () => {
    show(order[(order.indexOf(button.value) + 1) % order.length]);
  });
})();

/* Zoom and read-out of the equity and price charts; see ftbt/report/live.py for the data. */
(() => {
  const MINUTE = 60000, DAY = 86400000;
  const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
  const two = (n) => String(n).padStart(2, "0");

  const drawing = document.querySelector("figure[data-chart] svg");
  if (!drawing) return;

  const element = (name, values = {}, text = "") => {
    const made = document.createElementNS(drawing.namespaceURI, name);
    for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  };

  const plain = (value, decimals) =>
    value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
      .replace("-", "\u2212");
  const digits = (value) => {
    const size = Math.abs(value);
    return size === 0 ? 0 : Math.max(0, Math.min(10, 4 - Math.floor(Math.log10(size))));
  };
  const write = {
    money: (v) => plain(v, Math.abs(v) < 1000 ? 2 : 0),
    percent: (v) => plain(100 * v, 1) + "\u00a0%",
    price: (v) => plain(v, digits(v)),
  };
  const moment = (ms) => {
    const t = new Date(ms);
    return `${t.getUTCFullYear()}-${two(t.getUTCMonth() + 1)}-${two(t.getUTCDate())} ` +
      `${two(t.getUTCHours())}:${two(t.getUTCMinutes())}`;
  };

  /* Even ticks, and what stands at them. */
  const valueTicks = (low, high, most) => {
    const raw = (high - low) / most, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
    const found = [];
    for (let v = Math.ceil(low / step) * step; v <= high; v += step) {
      found.push(Math.abs(v) < step / 1e6 ? 0 : v);
    }
    return found;
  };
  const STEPS = [15, 30, 60, 120, 180, 360, 720].map((m) => m * MINUTE)
    .concat([1, 2, 5, 10, 20, 40, 80, 160, 320, 640, 1280].map((d) => d * DAY));
  const timeTicks = (first, last, most) => {
    const step = STEPS.find((s) => (last - first) / s <= most) || STEPS[STEPS.length - 1];
    const found = [];
    for (let t = Math.ceil(first / step) * step; t <= last; t += step) {
      const at = new Date(t), day = `${MONTHS[at.getUTCMonth()]} ${two(at.getUTCDate())}`;
      const clock = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
      const label = t % DAY ? clock : step >= 40 * DAY ? moment(t).slice(0, 7) : day;
      found.push([t, label]);
    }
    return found;
  };

  const nearest = (times, t) => {
    let low = 0, high = times.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (times[middle] <= t) low = middle; else high = middle;
    }
    return t - times[low] <= times[high] - t ? low : high;
  };
  const between = (times, first, last) => {
    const from = Math.max(0, times.findIndex((t) => t >= first) - 1);
    let to = times.length - 1;
    while (to > from && times[to - 1] > last) to -= 1;
    return times[from] === undefined ? [0, -1] : [from, to];
  };

  const unpack = (chart) => {
    if (chart.kind === "candles") {
      const bars = chart.bars.map((bar) => [bar[0] * MINUTE, ...bar.slice(1)]);
      return { ...chart, bars, times: bars.map((bar) => bar[0]), length: chart.minutes * MINUTE };
    }
    const panels = chart.panels.map((panel) => ({ ...panel, lines: panel.lines.map((line) => {
      let t = 0;
      return { ...line, times: line.t.map((step) => (t += step) * MINUTE) };
    }) }));
    return { ...chart, panels };
  };

  /* One drawing (wide or narrow) of a figure. */
  class View {
    constructor(live, svg) {
      this.live = live;
      this.svg = svg;
      this.frames = JSON.parse(svg.dataset.frames).map(
        ([left, right, top, bottom, first, last, low, high, log]) =>
          ({ left, right, top, bottom, first, last, low, high, log }));
      this.size = svg.classList.contains("narrow") ? 11 : 12;
      this.base = element("g");
      this.base.append(...svg.childNodes);
      this.zoomed = element("g", { class: "zoomed" });
      this.cross = element("g", { class: "cross" });
      svg.append(this.base, this.zoomed, this.cross);
      svg.addEventListener("pointermove", (event) => this.move(event));
      svg.addEventListener("pointerdown", (event) => this.press(event));
      svg.addEventListener("pointerup", (event) => this.release(event));
      svg.addEventListener("pointerleave", () => { this.start = null; this.point(null); });
      svg.addEventListener("dblclick", () => live.whole());
    }

    timeAt(event) {
      const box = this.svg.getBoundingClientRect();
      const frame = this.frames[0];
      const x = (event.clientX - box.left) / box.width * this.svg.viewBox.baseVal.width;
      const share = (x - frame.left) / (frame.right - frame.left);
      const [first, last] = this.live.range;
      return first + Math.min(1, Math.max(0, share)) * (last - first);
    }
    x(t) {
      const frame = this.frames[0], [first, last] = this.live.range;
      return frame.left + (t - first) / (last - first) * (frame.right - frame.left);
    }
    y(frame, value) {
      const { low, high, log } = frame.now || frame;
      const at = log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
      return frame.bottom - at * (frame.bottom - frame.top);
    }

    press(event) {
      if (event.pointerType === "touch" || event.button) return;
      event.preventDefault();
      this.start = this.timeAt(event);
    }
    release(event) {
      const start = this.start, end = this.timeAt(event);
      this.start = null;
      if (start == null) return;
      const [first, last] = this.live.range;
      if (Math.abs(end - start) > (last - first) / 60) this.live.zoom(Math.min(start, end), Math.max(start, end));
    }
    move(event) { this.point(this.timeAt(event)); }

    /* The vertical line, the span being chosen, and the values in words. */
    point(t) {
      this.cross.replaceChildren();
      this.live.say(t);
      if (t === null) return;
      const top = this.frames[0].top, bottom = this.frames[this.frames.length - 1].bottom;
      if (this.start != null) {
        const [a, b] = [this.x(this.start), this.x(t)].sort((p, q) => p - q);
        this.cross.append(element("rect", { x: a, y: top, width: b - a, height: bottom - top }));
      }
      const x = this.x(this.live.snap(t));
      this.cross.append(element("line", { x1: x, x2: x, y1: top, y2: bottom }));
    }

    draw() {
      const whole = this.live.isWhole();
      this.base.style.display = whole ? "" : "none";
      this.zoomed.replaceChildren();
      this.cross.replaceChildren();
      for (const frame of this.frames) frame.now = null;
      if (whole) return;
      const data = this.live.data;
      this.frames.forEach((frame, index) => {
        const panel = data.kind === "lines" ? data.panels[index] : null;
        const [low, high] = panel ? this.limits(panel) : this.barLimits();
        const pad = (high - low) * 0.05 || Math.abs(high) * 0.01 || 1;
        const isDepth = panel && panel.unit === "percent";
        frame.now = { low: low - pad, high: isDepth ? 0 : high + pad, log: false };
        if (isDepth && frame.now.low >= 0) frame.now.low = -0.01;
        this.axes(frame, panel ? panel.unit : "price", index === this.frames.length - 1);
        const { left, right, top, bottom } = frame;
        const inside = element("svg", { x: left, y: top, width: right - left, height: bottom - top,
          viewBox: `${left} ${top} ${right - left} ${bottom - top}` });
        if (panel) for (const line of panel.lines) inside.append(this.path(frame, line));
        else this.candles(frame, inside);
        this.zoomed.append(inside);
      });
    }
    limits(panel) {
      let low = Infinity, high = -Infinity;
      for (const line of panel.lines) {
        const [from, to] = between(line.times, ...this.live.range);
        for (let i = from; i <= to; i += 1) {
          if (line.v[i] === null) continue;
          low = Math.min(low, line.v[i]);
          high = Math.max(high, line.v[i]);
        }
      }
      return low <= high ? [low, high] : [0, 1];
    }
    barLimits() {
      const { bars, times } = this.live.data;
      const [from, to] = between(times, ...this.live.range);
      const seen = bars.slice(from, to + 1);
      return [Math.min(...seen.map((bar) => bar[3])), Math.max(...seen.map((bar) => bar[2]))];
    }
    axes(frame, unit, isLast) {
      const { left, right, bottom, top } = frame, { low, high } = frame.now;
      for (const value of valueTicks(low, high, bottom - top > 150 ? 5 : 3)) {
        const y = this.y(frame, value);
        this.zoomed.append(element("line", { x1: left, x2: right, y1: y, y2: y }));
        this.zoomed.append(element("text", { x: left - 5, y: y + 4, "text-anchor": "end",
          "font-size": this.size }, write[unit](value)));
      }
      const ticks = timeTicks(...this.live.range, this.size < 12 ? 4 : 9);
      for (const [t, label] of isLast ? ticks : []) {
        this.zoomed.append(element("text", { x: this.x(t), y: bottom + this.size + 6,
          "text-anchor": "middle", "font-size": this.size }, label));
      }
    }
    path(frame, line) {
      const [from, to] = between(line.times, ...this.live.range);
      let text = "", down = false;
      for (let i = from; i <= to; i += 1) {
        if (line.v[i] === null) { down = false; continue; }
        text += `${down ? "L" : "M"}${this.x(line.times[i]).toFixed(1)} ${this.y(frame, line.v[i]).toFixed(1)}`;
        down = true;
      }
      return element("path", { d: text, class: line.role });
    }
    candles(frame, inside) {
      const data = this.live.data, [first, last] = this.live.range;
      const width = this.x(first + data.length) - this.x(first);
      const box = (t0, t1, low, high, name) => {
        const y = this.y(frame, high);
        inside.append(element("rect", { x: this.x(t0), y, width: Math.max(0.5, this.x(t1) - this.x(t0)),
          height: Math.max(1, this.y(frame, low) - y), class: name }));
      };
      for (const [role, from, known, low, high] of data.zones) {
        box(from * MINUTE, known * MINUTE, low, high, "zone " + role);
      }
      for (const [t, open, high, low, close] of data.bars) {
        if (t + data.length < first || t > last) continue;
        const x = this.x(t) + width / 2;
        inside.append(element("line", { x1: x, x2: x, y1: this.y(frame, high), y2: this.y(frame, low), class: "wick" }));
        box(t + data.length * 0.16, t + data.length * 0.84, Math.min(open, close), Math.max(open, close),
          close >= open ? "up" : "down");
      }
      for (const [name, role, price, from, to] of data.levels) {
        const y = this.y(frame, price);
        inside.append(element("line", { x1: this.x(from * MINUTE), x2: this.x(to * MINUTE), y1: y, y2: y, class: "level " + role }));
        const x = Math.max(this.x(from * MINUTE), frame.left) + 4;
        inside.append(element("text", { x, y: y - 3, "font-size": this.size - 1, class: "name" },
          `${name} ${write.price(price)}`));
      }
    }
  }

  /* A figure: its data, the span that is shown, its buttons and its words. */
  class Live {
    constructor(figure) {
      this.data = unpack(JSON.parse(figure.dataset.chart));
      this.views = [...figure.querySelectorAll("svg[data-frames]")].map((svg) => new View(this, svg));
      if (!this.views.length || !this.views[0].frames.length) return;
      const { first, last } = this.views[0].frames[0];
      this.full = [first, last];
      this.range = this.full;
      this.words = document.createElement("p");
      this.words.className = "readout";
      const bar = document.createElement("div");
      bar.className = "zoom";
      const add = (text, title, act) => {
        const made = document.createElement("button");
        made.type = "button";
        made.textContent = text;
        made.setAttribute("aria-label", title);
        made.title = title;
        made.addEventListener("click", act);
        bar.append(made);
        return made;
      };
      add("+", "Zoom in", () => this.scale(0.5));
      add("\u2212", "Zoom out", () => this.scale(2));
      add("\u2039", "Earlier", () => this.shift(-0.5));
      add("\u203a", "Later", () => this.shift(0.5));
      add("All", "Show everything", () => this.whole());
      const head = document.createElement("div");
      head.className = "live";
      head.append(this.words, bar);
      figure.insertBefore(head, this.views[0].svg);
      this.say(null);
    }
    isWhole() { return this.range === this.full; }
    whole() { this.range = this.full; this.draw(); }
    zoom(first, last) {
      const [start, end] = this.full;
      const least = this.data.kind === "candles" ? 8 * this.data.length : (end - start) / 500;
      let span = Math.max(last - first, least);
      if (span >= (end - start) * 0.98) { this.whole(); return; }
      const from = Math.min(Math.max(start, (first + last - span) / 2), end - span);
      this.range = [from, from + span];
      this.draw();
    }
    scale(by) {
      const [first, last] = this.range, middle = (first + last) / 2, half = (last - first) / 2 * by;
      this.zoom(middle - half, middle + half);
    }
    shift(by) {
      if (this.isWhole()) return;
      const [first, last] = this.range, way = (last - first) * by;
      this.zoom(first + way, last + way);
    }
    draw() {
      for (const view of this.views) view.draw();
      this.say(null);
    }
    snap(t) {
      const data = this.data;
      if (data.kind !== "candles") return t;
      return data.times[nearest(data.times, t - data.length / 2)] + data.length / 2;
    }
    /* Write the values at *t*; without a place, what one can do here. */
    say(t) {
      const data = this.data, parts = [];
      if (t === null) {
        const [first, last] = this.range;
        const mouse = "Point to read values; drag to zoom, double-click for everything.";
        this.words.textContent = this.isWhole() ? mouse
          : `${moment(first).slice(0, 10)} to ${moment(last).slice(0, 10)}: ${this.legend()}`;
        return;
      }
      if (data.kind === "candles") {
        const bar = data.bars[nearest(data.times, t - data.length / 2)];
        parts.push(moment(bar[0]));
        ["open", "high", "low", "close"].forEach((name, i) => parts.push(`${name} ${write.price(bar[i + 1])}`));
      } else {
        parts.push(moment(t));
        data.panels.forEach((panel, index) => [...panel.lines].reverse().forEach((line) => {
          const value = line.v[nearest(line.times, t)];
          if (value === null || t < line.times[0] || t > line.times[line.times.length - 1] + DAY) return;
          parts.push(`${line.name}${index ? " drawdown" : ""} ${write[panel.unit](value)}`);
        }));
      }
      this.words.textContent = parts.join(" \u00b7 ");
    }
    legend() {
      if (this.data.kind === "candles") return "hollow candles rise";
      const looks = { out: "thick", within: "thin, grey", hold: "dashed", before: "dotted" };
      return this.data.panels[0].lines.map((line) => `${line.name} ${looks[line.role] || ""}`).join(", ");
    }
  }

  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    try { new Live(figure); } catch (error) { console.error(error); }
  }
})();
