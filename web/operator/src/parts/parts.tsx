// Small parts that several views have.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { ago, time } from "../format.js";
import { date } from "../shape.js";
import { useNow } from "./hooks.js";

/** When is a moment, and how long ago that is; short, that alone. It leads to what happened then. */
export function When({ at, short = false, to }: { at: Timestamp | undefined; short?: boolean; to?: string }) {
  const now = useNow();
  if (!at) return <span class="muted">–</span>;
  const d = date(at);
  const moment = <time dateTime={d.toISOString()} title={time(d, now)}>{short ? ago(d, now) : time(d, now)}</time>;
  const told = to ? <a href={to}>{moment}</a> : moment;
  return short ? told : <>{told} <span class="muted ago">{ago(d, now)}</span></>;
}

/** Failure tells what went wrong, at once. */
export function Failure({ error, again }: { error: string; again?: (() => void) | undefined }) {
  if (!error) return null;
  return <p class="failure" role="alert">{error} {again && <button type="button" class="link" onClick={again}>Try again</button>}</p>;
}

/** Section is a part of a view with a heading of its own. */
export function Section({ id, title, children, means, tools }: {
  id: string; title: string; means?: ComponentChildren; tools?: ComponentChildren; children: ComponentChildren;
}) {
  return (
    <section aria-labelledby={`${id}-title`} class="section">
      <div class="section-head">
        <h2 id={`${id}-title`} tabIndex={-1}>{title}</h2>
        {tools && <div class="tools">{tools}</div>}
      </div>
      {means && <p class="means">{means}</p>}
      {children}
    </section>
  );
}

/** Table is one that can be scrolled sideways where it does not fit, by the keyboard too. */
export function Table({ caption, heads, children, compact = false }: { caption: string; heads: readonly ComponentChildren[]; children: ComponentChildren; compact?: boolean }) {
  return (
    <div class="scroll" role="group" aria-label={caption} tabIndex={0}>
      <table class={compact ? "compact" : ""}>
        <caption class="sr">{caption}</caption>
        <thead><tr>{heads.map((h, i) => <th key={i} scope="col">{h}</th>)}</tr></thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** numbers are heads of columns of numbers. */
export function numbers(...names: string[]): ComponentChildren[] {
  return names.map((name) => <span key={name} class="n">{name}</span>);
}

/** Choice is one of a few. */
export function Choice<T extends string>({ label, value, of, set }: { label: string; value: T; of: Readonly<Record<T, string>>; set(v: T): void }) {
  return (
    <div class="choice" role="group" aria-label={label}>
      {(Object.keys(of) as T[]).map((key) => (
        <button key={key} type="button" aria-pressed={key === value} onClick={() => set(key)}>{of[key]}</button>
      ))}
    </div>
  );
}

/** Dialog asks before something is done that cannot be taken back. */
export function Dialog({ open, title, children, action, onAction, onClose }: {
  open: boolean; title: string; children: ComponentChildren; action: string; onAction(): void; onClose(): void;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open && !ref.current?.open) ref.current?.showModal();
    if (!open && ref.current?.open) ref.current.close();
  }, [open]);
  return (
    <dialog ref={ref} aria-labelledby="dialog-title" onClose={onClose}>
      <h2 id="dialog-title">{title}</h2>
      {children}
      <div class="buttons">
        <button type="button" onClick={onClose}>Cancel</button>
        <button type="button" class="primary" onClick={onAction}>{action}</button>
      </div>
    </dialog>
  );
}

/** More reads the next page of what is listed. */
export function More({ pages, what }: { pages: { more: boolean; asking: boolean; items: readonly unknown[]; readMore(): void }; what: string }) {
  if (!pages.more) return null;
  return <p><button type="button" disabled={pages.asking} onClick={pages.readMore}>{pages.asking ? "Reading…" : `More ${what}`}</button></p>;
}
