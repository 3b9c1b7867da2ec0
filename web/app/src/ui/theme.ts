// Light or dark, if not as the system says.

import { effect, signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";

const stored = (): Theme => {
  const found = localStorage.getItem("theme");
  return found === "light" || found === "dark" ? found : "auto";
};

export const theme = signal<Theme>(stored());

effect(() => {
  if (theme.value === "auto") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem("theme");
  } else {
    document.documentElement.dataset.theme = theme.value;
    localStorage.setItem("theme", theme.value);
  }
});
