import { createContext } from "preact";
import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";
import type { Overview } from "@coatcheck/client/proto";
import { refused, say, type Admin } from "../api.js";

/** Window is what every view of the page has. */
export interface Window {
  readonly admin: Admin;
  readonly overview: Overview;
  /** refuse asks for a token: the one that there is was refused in the middle. */
  refuse(why: string): void;
  /** announce says something to those who listen to the page. */
  announce(text: string): void;
}

export const WindowContext = createContext<Window>(undefined as never);

export function useWindow(): Window {
  return useContext(WindowContext);
}

/** Asked is an answer, or why there is none. The one before stays while it is asked again. */
export interface Asked<T> {
  readonly answer: T | undefined;
  readonly error: string;
  readonly asking: boolean;
  again(): void;
}

/** useAsked asks for something at once, and again whenever one of the keys has changed. */
export function useAsked<T>(ask: (admin: Admin, signal: AbortSignal) => Promise<T>, keys: readonly unknown[]): Asked<T> {
  const { admin, refuse } = useWindow();
  const [state, set] = useState<{ answer: T | undefined; error: string; asking: boolean }>({ answer: undefined, error: "", asking: true });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const controller = new AbortController();
    set((s) => ({ ...s, asking: true }));
    ask(admin, controller.signal).then(
      (answer) => { if (!controller.signal.aborted) set({ answer, error: "", asking: false }); },
      (error: unknown) => {
        if (controller.signal.aborted) return;
        if (refused(error)) refuse(say(error));
        set((s) => ({ ...s, error: say(error), asking: false }));
      },
    );
    return () => controller.abort();
  }, [admin, turn, ...keys]);
  return { ...state, again: useCallback(() => setTurn((n) => n + 1), []) };
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string;
}

/** Pages are the pages that were read so far. */
export interface Pages<T> {
  readonly items: readonly T[];
  readonly asked: boolean;
  readonly error: string;
  readonly asking: boolean;
  readonly more: boolean;
  readMore(): void;
}

/** usePages reads the first page, and the next when it is asked to; anew whenever one of the keys has changed. */
export function usePages<T>(ask: (admin: Admin, token: string, signal: AbortSignal) => Promise<Page<T>>, keys: readonly unknown[]): Pages<T> {
  const { admin, refuse, announce } = useWindow();
  const [state, set] = useState<{ items: readonly T[]; next: string; asked: boolean; error: string; asking: boolean }>(
    { items: [], next: "", asked: false, error: "", asking: true });
  const current = useRef<AbortController>(new AbortController());
  const read = (token: string, before: readonly T[], quiet: boolean) => {
    current.current.abort();
    const controller = (current.current = new AbortController());
    set((s) => ({ ...s, asking: true }));
    ask(admin, token, controller.signal).then(
      (page) => {
        if (controller.signal.aborted) return;
        const items = [...before, ...page.items];
        set({ items, next: page.next, asked: true, error: "", asking: false });
        if (!quiet) announce(`${items.length} rows`);
      },
      (error: unknown) => {
        if (controller.signal.aborted) return;
        if (refused(error)) refuse(say(error));
        set((s) => ({ ...s, error: say(error), asked: true, asking: false }));
      },
    );
  };
  useEffect(() => {
    read("", [], true);
    return () => current.current.abort();
  }, [admin, ...keys]);
  return { ...state, more: state.next !== "", readMore: () => read(state.next, state.items, false) };
}

/** useNow is the time, told anew every so many milliseconds. */
export function useNow(everyMs = 1000): Date {
  const [now, set] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => set(new Date()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** useRoute is what the address says after its "#", such as "/strays". */
export function useRoute(): string {
  const read = () => location.hash.slice(1) || "/";
  const [route, set] = useState(read);
  useEffect(() => {
    const changed = () => set(read());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}
