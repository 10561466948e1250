import { MediaState } from "@coatcheck/client/proto";
import type { Coat } from "./coat.js";
import { h, say, setText } from "./dom.js";
import { bytes, clock, duration } from "./format.js";
import { going, landed, ms, now, story, ways } from "./words.js";

export interface Actions {
  claim(coat: Coat): void;
  cancel(coat: Coat): void;
  release(coat: Coat): void;
  download(coat: Coat): void;
  remove(coat: Coat): void;
}

const steps = ["PENDING", "UPLOADED", "CONFIRMED", "DELETING", "DELETED"] as const;
const button = (text: string, what: string, press: () => void) =>
  h("button", { type: "button", class: "button small", "aria-label": `${text}: ${what}`, click: press }, text);

/** Card shows one coat: a ticket with its track, its clock, and what one can do. */
export class Card {
  readonly element: HTMLLIElement;
  readonly #coat: Coat;
  readonly #number = h("span", { class: "number" });
  readonly #key = h("code", { class: "key" });
  readonly #steps = new Map(steps.map((s) => [s, h("li", { class: `step ${s.toLowerCase()}` }, h("span", {}, s))]));
  readonly #face = h("span", { class: "face", "aria-hidden": "true" });
  readonly #left = h("span", { class: "left" });
  readonly #clock: HTMLElement;
  readonly #track: HTMLElement;
  readonly #progress: HTMLProgressElement;
  readonly #now = h("p", { class: "now", tabindex: -1 });
  readonly #story = h("ol", { class: "story" });
  readonly #buttons: Record<"claim" | "release" | "download" | "cancel" | "remove", HTMLButtonElement>;
  #announced: string | undefined;

  constructor(coat: Coat, actions: Actions) {
    this.#coat = coat;
    if (!coat.id) this.#announced = ""; // what was there before a reload is no news
    this.#clock = h("div", { class: "clock", role: "timer", "aria-label": "Until the sweep takes it" }, this.#face, this.#left);
    this.#track = h("ol", { class: "track", "aria-label": "States" }, ...this.#steps.values());
    this.#progress = h("progress", { "aria-label": `Progress of ${coat.name}` });
    this.#buttons = {
      claim: button("Claim now", coat.name, () => actions.claim(coat)),
      release: button("Release", coat.name, () => actions.release(coat)),
      download: button("Download", coat.name, () => actions.download(coat)),
      cancel: button("Cancel", coat.name, () => actions.cancel(coat)),
      remove: button("Remove from the list", coat.name, () => actions.remove(coat)),
    };
    const elbow = h("div", { class: "elbow" }, this.#clock);
    this.element = h("li", { class: "card" },
      h("div", { class: "stub", "aria-hidden": "true" }, h("span", {}, "No."), this.#number),
      h("div", { class: "ticket" },
        h("div", { class: "title" }, h("h3", {}, coat.name), h("span", {}, `${bytes(coat.size)}, ${ways[coat.way]}`)),
        h("div", { class: "tracks" }, this.#track, elbow),
        this.#progress, this.#now, this.#story, this.#key,
        h("div", { class: "actions" }, ...Object.values(this.#buttons))));
    this.update();
  }

  update(): void {
    const { media: m, phase, error } = this.#coat;
    const state = m ? MediaState[m.state] as (typeof steps)[number] : "";
    setText(this.#number, this.#coat.id?.slice(-4) ?? "····");
    setText(this.#key, m?.key ?? "");

    // Which steps it has been through, and from which one it goes, or would go, out.
    const been = new Set<string>([state]);
    if (m) been.add("PENDING");
    if (m && landed(m)) been.add("UPLOADED");
    if (m?.confirmedAt) been.add("CONFIRMED");
    if (m && going(m)) been.add("DELETING");
    for (const [name, step] of this.#steps) {
      step.classList.toggle("been", been.has(name));
      if (name === state) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    }
    this.element.dataset["state"] = error && !m ? "FAILED" : state;
    this.element.dataset["from"] = m?.confirmedAt ? "3" : m && landed(m) ? "2" : "1";
    this.element.classList.toggle("going", !!m && going(m));

    const moving = phase === "hashing" || phase === "uploading";
    this.#progress.hidden = !moving && phase !== "creating" && phase !== "waiting" && phase !== "queued";
    if (moving) [this.#progress.max, this.#progress.value] = [this.#coat.size, this.#coat.loaded];
    else this.#progress.removeAttribute("value");
    this.#progress.className = phase ?? "";

    const text = now(this.#coat);
    setText(this.#now, text);
    this.#now.classList.toggle("error", !!error);
    const began = ms(m?.createdAt);
    const lines = story(this.#coat).map(({ at, what }) => [`+${duration(at - began)}`, what] as const);
    if (lines.length !== this.#story.childElementCount || lines.at(-1)?.[1] !== this.#story.lastElementChild?.lastElementChild?.textContent) {
      this.#story.replaceChildren(...lines.map(([at, what]) => h("li", {}, h("time", {}, at), h("span", {}, what))));
    }

    const live = m?.state === MediaState.PENDING || m?.state === MediaState.UPLOADED;
    const show = (name: "claim" | "release" | "download" | "cancel" | "remove", shown: boolean) => {
      const b = this.#buttons[name];
      if (!shown && !b.hidden && document.activeElement === b) this.#now.focus(); // not to the top of the page
      b.hidden = !shown;
    };
    show("claim", !!live && !this.#coat.stop);
    show("release", m?.state === MediaState.CONFIRMED);
    show("download", m?.state === MediaState.UPLOADED || m?.state === MediaState.CONFIRMED);
    show("cancel", live || (!m && !!this.#coat.stop));
    show("remove", m ? going(m) && !phase : !this.#coat.stop && !!error);

    const news = error ?? state;
    if (news && news !== this.#announced) {
      const first = this.#announced === undefined;
      this.#announced = news;
      if (!first) say(error ? `${this.#coat.name}: ${error}` : `${this.#coat.name}: ${state}. ${text}`);
    }
    this.tick();
  }

  /** tick sets the clock. */
  tick(): void {
    const m = this.#coat.media;
    const due = ms(m?.expiresAt);
    this.#clock.hidden = Number.isNaN(due);
    if (Number.isNaN(due)) return;
    const left = due - Date.now();
    const window = due - ms(m!.landedAt ?? m!.createdAt);
    this.#face.style.setProperty("--left", String(Math.min(1, Math.max(0, left / window))));
    this.#clock.classList.toggle("soon", left < 10_000);
    setText(this.#left, left > 0 ? clock(left) : "due");
  }
}
