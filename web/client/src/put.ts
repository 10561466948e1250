import { aborted, unreadable, UploadError } from "./errors.js";
import type { PresignedRequest } from "./gen/coatcheck/v1/media_pb.js";

/** Put sends a file by a presigned request. It succeeds too when S3 says that the object is there already. */
export type Put = (request: PresignedRequest, file: Blob, told: (bytes: number) => void, signal?: AbortSignal) => Promise<void>;

/**
 * stallMs is how long nothing may move before an attempt is given up, such as on a network that was left. What is in the
 * system's buffers is not seen to move, so it is no less than a slow line takes for those.
 */
const stallMs = 120_000;

/** A browser sets these itself, and refuses to have them set. */
const browserHeaders: ReadonlySet<string> = new Set(["host", "content-length"]);

/** put uses XMLHttpRequest: fetch does not tell how much has been sent. */
export const put: Put = async (request, file, told, signal) => {
  const answer = await send(request, file, told, signal);
  if (answer.status !== 0) {
    const error = refusal(answer.status, answer.body);
    if (error) throw error;
    return;
  }
  // A file that was changed or deleted since it was chosen ends as a network error does.
  await file.slice(0, 1).arrayBuffer().catch((cause: unknown) => Promise.reject(unreadable(cause)));
  throw new UploadError("network", "the file did not reach S3: the device is offline, something blocks the request, or the bucket's CORS rules do not name this page's origin");
};

interface Answer {
  status: number; // 0: none
  body: string;
}

function send(request: PresignedRequest, file: Blob, told: (bytes: number) => void, signal?: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(aborted(signal));
    const xhr = new XMLHttpRequest();
    const stop = () => {
      end();
      xhr.abort();
      reject(aborted(signal!));
    };
    let timer: ReturnType<typeof setTimeout>;
    const moved = () => {
      clearTimeout(timer);
      timer = setTimeout(() => xhr.abort(), stallMs);
    };
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    };
    xhr.upload.onprogress = (event) => {
      moved();
      told(event.loaded);
    };
    xhr.onload = () => resolve({ status: xhr.status, body: xhr.responseText });
    xhr.onerror = xhr.onabort = () => resolve({ status: 0, body: "" });
    xhr.onloadend = end;
    xhr.open(request.method, request.url);
    for (const [name, value] of Object.entries(request.headers)) {
      if (!browserHeaders.has(name.toLowerCase())) xhr.setRequestHeader(name, value);
    }
    signal?.addEventListener("abort", stop, { once: true });
    moved();
    xhr.send(file);
  });
}

/** refusal makes an error of S3's answer, or none when the object is there. Its text never repeats the request. */
export function refusal(status: number, body: string): UploadError | undefined {
  // 412: the object is there. Only the declared content is accepted at that key, so it is this file.
  if ((status >= 200 && status < 300) || status === 412) return undefined;
  const code = /<Code>([^<]*)<\/Code>/.exec(body)?.[1] ?? `status ${status}`;
  const details = { status };
  if (code === "BadDigest") {
    return new UploadError("file_changed", "the file changed while it was uploaded: choose it again", details);
  }
  if (code === "ExpiredToken" || (code === "AccessDenied" && /expired/i.test(body))) {
    return new UploadError("expired", "the upload's URL expired before it was used: check the service's clock, its --url-ttl and its credentials", details);
  }
  // 409: another attempt at the same object is under way. RequestTimeout: S3 waited too long for the body.
  if (status >= 500 || status === 409 || status === 408 || status === 429 || code === "RequestTimeout") {
    return new UploadError("unavailable", `S3 does not take the file now (${code}): try again later`, details);
  }
  return new UploadError("s3_refused", `S3 refused the file (${code}): something between page and S3 changes the request, the file has another size by now, or the service may not write to the bucket`, details);
}
