import { createClient as connectClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { Client } from "./client.js";
import { UploadService } from "./gen/coatcheck/v1/upload_service_pb.js";
import { createHash, hashWorker } from "./hash.js";
import { put } from "./put.js";
import { online, sleep } from "./wait.js";

export { type Client, type Phase, type Progress, type UploadOptions } from "./client.js";
export { UploadError, type UploadErrorCode } from "./errors.js";
export { fileKey } from "./filekey.js";
export { MediaState, type Media, type PresignedRequest } from "./gen/coatcheck/v1/media_pb.js";

/** ClientOptions tell where the service is, and how to call it. Only baseUrl is needed. */
export interface ClientOptions {
  /** Where the service is, or what of the product's passes calls on to it: an origin, with a path before it or not. */
  readonly baseUrl: string;
  /** Headers for each call of the service, such as the product's session; asked for each time. S3 does not get them. */
  readonly headers?: (() => HeadersInit | Promise<HeadersInit>) | undefined;
  /** fetch for calls of the service, such as one that includes credentials. */
  readonly fetch?: typeof fetch | undefined;
  /** How many files are hashed and sent at a time. 4 by default: more do not fill a line better, and fail together. */
  readonly concurrency?: number | undefined;
  /** How often a file is tried before its upload is rejected. 8 by default, which takes a minute and more. */
  readonly attempts?: number | undefined;
  /** How long to wait for S3's notification of what was sent, in milliseconds. 5 minutes by default. */
  readonly waitTimeoutMs?: number | undefined;
}

const callTimeoutMs = 30_000;

/** createClient returns a client. It calls nothing yet. */
export function createClient(options: ClientOptions): Client {
  const addHeaders: Interceptor = (next) => async (request) => {
    new Headers(await options.headers?.()).forEach((value, name) => request.header.set(name, value));
    return next(request);
  };
  const send = options.fetch ?? globalThis.fetch;
  const transport = createConnectTransport({
    baseUrl: options.baseUrl,
    interceptors: [addHeaders],
    // A page that cancels is often about to be left.
    fetch: (input, init) => send(input, String(input).endsWith("/CancelUpload") ? { ...init, keepalive: true } : init),
  });
  return new Client({
    service: connectClient(UploadService, transport),
    hash: createHash(hashWorker),
    put,
    retry: { attempts: options.attempts ?? 8, sleep, online },
    callTimeoutMs,
    waitTimeoutMs: options.waitTimeoutMs ?? 300_000,
    concurrency: options.concurrency ?? 4,
  });
}
