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
