import { useState } from "preact/hooks";

const name = "coatcheck.theme";
type Theme = "auto" | "light" | "dark";

function chosen(): Theme {
  const theme = localStorage.getItem(name);
  return theme === "light" || theme === "dark" ? theme : "auto";
}

/** applyTheme makes the page dark or light as was chosen, or else as the system is. */
export function applyTheme(): void {
  const theme = chosen();
  if (theme === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

const next: Record<Theme, Theme> = { auto: "dark", dark: "light", light: "auto" };
const sign: Record<Theme, string> = { auto: "◐", dark: "●", light: "○" };

/** ThemeButton goes from the system's colours to dark ones, to light ones, and back. */
export function ThemeButton() {
  const [theme, set] = useState(chosen);
  const change = () => {
    localStorage.setItem(name, next[theme]);
    set(next[theme]);
    applyTheme();
  };
  return <button type="button" class="quiet" title="Colours" aria-label={`Colours: ${theme === "auto" ? "as the system" : theme}`} onClick={change}><span aria-hidden="true">{sign[theme]}</span></button>;
}
