import { byId, h } from "./dom.js";
import { bytes } from "./format.js";
import { sample } from "./sample.js";

let chosen: File[] = [];
const input = byId<HTMLInputElement>("file");
const drop = byId("drop");

/** chosenFiles are those that the user chose, or a sample. They stay, so that one can try them in other ways too. */
export function chosenFiles(): readonly File[] {
  if (chosen.length === 0) choose([sample()]);
  return chosen;
}

function choose(files: File[]): void {
  chosen = files;
  byId("chosen").replaceChildren(...files.map((file) =>
    h("li", {}, h("span", {}, `${file.name}, ${bytes(file.size)}`),
      h("button", { type: "button", class: "drop-remove", "aria-label": `Remove ${file.name}`, click: () => unchoose(file) }, "×"))));
  byId("drop-note").hidden = files.length > 0;
}

function unchoose(file: File): void {
  choose(chosen.filter((f) => f !== file));
  input.focus();
}

input.addEventListener("change", () => {
  choose([...(input.files ?? [])]);
  input.value = ""; // so that the same file can be chosen again
});
byId("sample").addEventListener("click", () => choose([...chosen, sample()]));

// A file that misses the zone would replace the page.
addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.toggle("over", !!event.dataTransfer?.types.includes("Files"));
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const files = [...(event.dataTransfer?.files ?? [])];
  if (files.length > 0) choose(files);
});
