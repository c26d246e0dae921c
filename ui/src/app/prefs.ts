/** What the reader chose: theme and language. Remembered in the browser only. */

import { effect, signal } from "@preact/signals";
import { read, write } from "../lib/stored";

export type ThemeChoice = "system" | "light" | "dark";
export type Language = "en" | "zh";

const THEME_KEY = "windvane.theme";
const LANGUAGE_KEY = "windvane.language";

const systemDark = window.matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(systemDark.matches);
systemDark.addEventListener("change", (event) => {
  systemIsDark.value = event.matches;
});

const storedTheme = read(THEME_KEY);
export const theme = signal<ThemeChoice>(
  storedTheme === "light" || storedTheme === "dark" ? storedTheme : "system",
);
export const language = signal<Language>(document.documentElement.lang.startsWith("zh") ? "zh" : "en");

/** The theme in force: "light" or "dark". Charts read it to redraw. */
export const shownTheme = signal<"light" | "dark">("light");

effect(() => {
  const dark = theme.value === "dark" || (theme.value === "system" && systemIsDark.value);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  shownTheme.value = dark ? "dark" : "light";
});

effect(() => {
  document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en";
});

export function chooseTheme(choice: ThemeChoice): void {
  theme.value = choice;
  write(THEME_KEY, choice);
}

export function chooseLanguage(choice: Language): void {
  language.value = choice;
  write(LANGUAGE_KEY, choice);
}
