type Child = Node | string | false | undefined;
type Attributes = Record<string, string | number | boolean | ((event: Event) => void)>;

/** h makes an element: attributes, and a function for each event. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((c): c is Node | string => c !== false && c !== undefined));
  return element;
}

/** byId is an element that index.html has. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** setText leaves a text alone that is so already: a screen reader would say it again. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** say tells those who listen to the page. */
export function say(text: string): void {
  const said = byId("said");
  said.append(h("p", {}, text));
  while (said.childElementCount > 5) said.firstElementChild!.remove();
}
