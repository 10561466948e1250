import type { Phase } from "@coatcheck/client";
import type { Media } from "@coatcheck/client/proto";

/** Way is what the user wants to happen: upload and claim, upload and leave it, or take a URL and walk away. */
export type Way = "claim" | "leave" | "walk";

/** Coat is one file that was handed in, as this page knows it; media is what the service says. */
export interface Coat {
  readonly name: string;
  readonly size: number;
  readonly type: string;
  readonly way: Way;
  /** Id of its media, once there is one. */
  id?: string;
  media?: Media;
  /** While this page uploads it. */
  phase?: Phase;
  loaded: number;
  /** When sending began and ended, in milliseconds since 1970. */
  sendingAt?: number;
  sentAt?: number;
  /** What failed, in words. */
  error?: string;
  /** The claim that this page makes. */
  claim?: string;
  /** Set while the upload can be cancelled here. */
  stop?: AbortController;
}

/** What is kept of a coat, so that the list is there after a reload. */
type Saved = Pick<Coat, "id" | "name" | "size" | "type" | "way" | "sendingAt" | "sentAt" | "claim">;

const place = "coatcheck-try";

/** mostCoats is how many the list has: one stream tells of no more. */
export const mostCoats = 100;

export function save(coats: readonly Coat[]): void {
  const saved = coats.filter((c) => c.id).map(({ id, name, size, type, way, sendingAt, sentAt, claim }) => ({ id, name, size, type, way, sendingAt, sentAt, claim }));
  try {
    localStorage.setItem(place, JSON.stringify(saved));
  } catch {
    // No room, or not allowed: then a reload begins anew.
  }
}

export function saved(): Coat[] {
  try {
    const list = JSON.parse(localStorage.getItem(place) ?? "[]") as Saved[];
    return list.map((s) => ({ ...s, loaded: 0 }));
  } catch {
    return [];
  }
}
