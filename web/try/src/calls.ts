import { byId, h } from "./dom.js";
import { bytes, duration } from "./format.js";

/** What each call does. */
const does: Record<string, string> = {
  CreateUpload: "takes a ticket: declares the file, and gets a presigned PUT",
  WatchUpload: "one stream that tells of each change of state",
  GetUpload: "asks how one media is",
  CancelUpload: "gives up what nothing has claimed",
  ConfirmMedia: "claims it: your backend's call",
  ReleaseMedia: "gives up the claim: your backend's call",
  CreateDownload: "presigns a GET",
};

const mostCalls = 60;

/** Call is one entry of the log while it runs. */
interface Call {
  end(outcome: string, good: boolean, answer?: string): void;
}

function begin(method: string, what: string, request = ""): Call {
  const list = byId("calls");
  byId("no-calls").hidden = true;
  const outcome = h("span", { class: "call-outcome" }, "…");
  const line = h("span", { class: "call-line" }, h("b", {}, method), " ", what, " ", outcome);
  const details = h("pre", { tabindex: 0 }, request);
  const entry = request ? h("details", {}, h("summary", {}, line), details) : line;
  list.prepend(h("li", {}, h("time", {}, new Date().toLocaleTimeString("en-GB")), entry));
  while (list.childElementCount > mostCalls) list.lastElementChild!.remove();
  return {
    end(text, good, answer) {
      outcome.textContent = text;
      outcome.classList.add(good ? "good" : "bad");
      if (answer) details.append(`\n\n${answer}`);
    },
  };
}

/** logged is fetch that shows each call of the API as what a developer would type. skip names a method that it does not show. */
export function logged(skip = ""): typeof fetch {
  return async (input, init) => {
    const url = new URL(String(input), location.href);
    const method = url.pathname.split("/").at(-1)!;
    if (method === skip) return fetch(input, init);
    const stream = method === "WatchUpload";
    const body = init?.body instanceof Uint8Array ? new TextDecoder().decode(init.body.subarray(stream ? 5 : 0)) : ""; // a stream's has a prefix
    const call = begin(method, does[method] ?? "", stream ? body : curl(url, body));
    const began = performance.now();
    try {
      const response = await fetch(input, init);
      const took = duration(performance.now() - began);
      if (stream) call.end("open", response.ok);
      else call.end(`${response.status}, ${took}`, response.ok, pretty(await response.clone().text()));
      return response;
    } catch (error) {
      if (init?.signal?.aborted) call.end("ended here", true);
      else call.end("no answer", false);
      throw error;
    }
  };
}

/** put shows a PUT, which goes to S3 by other means. */
export function put(size: number): Call {
  return begin("PUT", `sends ${bytes(size)} straight to S3`);
}

function curl(url: URL, body: string): string {
  return `curl -s ${url.href} \\\n  -H 'Content-Type: application/json' \\\n  -d '${body.replaceAll("'", "'\\''")}'`;
}

/** pretty lays JSON out, and leaves out what a presigned URL is signed with: whoever has it can use it. */
function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2).replace(/\?X-Amz-[^"]*/g, "?X-Amz-…");
  } catch {
    return json;
  }
}
