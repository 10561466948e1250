// The overview, as it changes.
import { Code, ConnectError } from "@connectrpc/connect";
import type { Overview } from "@coatcheck/client/proto";
import { refused, say, type Admin } from "./api.js";

/** News is what has become of watching: an overview, or what keeps one away. */
export type News =
  | { readonly kind: "overview"; readonly overview: Overview; readonly live: boolean }
  | { readonly kind: "lost"; readonly why: string }
  | { readonly kind: "refused"; readonly why: string };

export interface Patience {
  readonly firstMs: number; // for the first message; a proxy that collects answers keeps them back
  readonly silenceMs: number; // the service says something every 15 s
  readonly pollMs: number;
  readonly streamAgainMs: number; // how long to poll before a stream is tried again
}

const usual: Patience = { firstMs: 10_000, silenceMs: 35_000, pollMs: 5_000, streamAgainMs: 60_000 };

/**
 * follow tells of the overview until the signal aborts or the caller is refused: by streaming, and where no stream is to be
 * had by asking again and again.
 */
export async function follow(admin: Admin, tell: (news: News) => void, signal: AbortSignal, patience = usual): Promise<void> {
  let pollUntil = 0;
  for (let failures = 0; !signal.aborted; ) {
    if (Date.now() >= pollUntil) {
      const end = await stream(admin, tell, signal, patience);
      if (end === "refused" || signal.aborted) return;
      if (end === "worked") failures = 0;
      else pollUntil = Date.now() + patience.streamAgainMs;
    }
    try {
      const { overview } = await admin.getOverview({}, { signal, timeoutMs: 10_000 });
      failures = 0;
      if (overview) tell({ kind: "overview", overview, live: false });
    } catch (error) {
      if (signal.aborted) return;
      if (refused(error)) return tell({ kind: "refused", why: say(error) });
      failures++;
      pollUntil = 0; // whatever kept the stream away may be over when the service answers again
      tell({ kind: "lost", why: say(error) });
    }
    if (Date.now() < pollUntil) await pause(patience.pollMs, signal);
    else if (failures > 0) await pause(Math.min(10_000, patience.pollMs / 5 * 2 ** (failures - 1)), signal);
  }
}

async function stream(admin: Admin, tell: (news: News) => void, signal: AbortSignal, patience: Patience): Promise<"worked" | "failed" | "refused"> {
  const controller = new AbortController();
  const stop = () => controller.abort();
  signal.addEventListener("abort", stop);
  let timer = setTimeout(stop, patience.firstMs);
  let worked = false;
  try {
    for await (const { overview } of admin.watchOverview({}, { signal: controller.signal })) {
      worked = true;
      clearTimeout(timer);
      timer = setTimeout(stop, patience.silenceMs);
      if (overview) tell({ kind: "overview", overview, live: true });
    }
  } catch (error) {
    if (refused(error)) {
      tell({ kind: "refused", why: say(error) });
      return "refused";
    }
    if (worked && !signal.aborted && ConnectError.from(error).code !== Code.Canceled) tell({ kind: "lost", why: say(error) });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
  return worked ? "worked" : "failed";
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (signal.aborted) done();
    else signal.addEventListener("abort", done);
  });
}
