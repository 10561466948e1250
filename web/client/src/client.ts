import { create } from "@bufbuild/protobuf";
import type { Client as ConnectClient } from "@connectrpc/connect";
import { aborted, fromService, UploadError } from "./errors.js";
import type { Media } from "./gen/coatcheck/v1/media_pb.js";
import { CreateUploadRequestSchema, type CreateUploadRequest, type CreateUploadResponse, type UploadService } from "./gen/coatcheck/v1/upload_service_pb.js";
import type { Hash } from "./hash.js";
import type { Put } from "./put.js";
import { Slots } from "./slots.js";
import { abortable, retry, type Retry } from "./wait.js";
import { Watcher } from "./watch.js";

/** Phase is what an upload is at: in this order, and back from uploading to creating when an attempt failed. */
export type Phase = "queued" | "hashing" | "creating" | "uploading" | "waiting" | "uploaded";

/** Progress tells how far an upload is. */
export interface Progress {
  readonly phase: Phase;
  /** Bytes read while hashing, sent while uploading, and all of them after that. Every attempt begins at 0. */
  readonly loaded: number;
  /** Bytes of the file. */
  readonly total: number;
  /** Id of the media, from uploading on. While it is waiting the backend may confirm it already. */
  readonly mediaId: string | undefined;
}

/** UploadOptions tell about one upload. All may be left out. */
export interface UploadOptions {
  /** Told of every step, often. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Cancels the upload, here and at the service. */
  readonly signal?: AbortSignal | undefined;
  /** Media type, instead of the file's own, or of application/octet-stream when it has none. */
  readonly contentType?: string | undefined;
  /** Name for people, instead of the file's own. */
  readonly fileName?: string | undefined;
  /** The caller's own metadata: at most 32 pairs. */
  readonly metadata?: Record<string, string> | undefined;
  /**
   * The same upload again, after a reload too, when it is the same: see fileKey. By default each upload is one of its own.
   * At most 128 printable ASCII characters.
   */
  readonly idempotencyKey?: string | undefined;
}

/** What a client is made of. */
export interface Parts {
  readonly service: ConnectClient<typeof UploadService>;
  readonly hash: Hash;
  readonly put: Put;
  readonly retry: Retry;
  readonly callTimeoutMs: number;
  readonly waitTimeoutMs: number;
  readonly concurrency: number;
}

/** Client uploads files for one owner. Make one for a page, and keep it: its limits are for all of its uploads. */
export class Client {
  /** UploadService as it is, for what this client has no method for. */
  readonly service: ConnectClient<typeof UploadService>;
  readonly #parts: Parts;
  readonly #slots: Slots;
  readonly #watcher: Watcher;

  /** @internal createClient is for the public. */
  constructor(parts: Parts) {
    this.service = parts.service;
    this.#parts = parts;
    this.#slots = new Slots(parts.concurrency);
    this.#watcher = new Watcher({ service: parts.service, callTimeoutMs: parts.callTimeoutMs, ...parts.retry });
  }

  /**
   * upload hashes the file, declares it, sends it to S3, and waits until the service knows that it has landed: the media
   * that it returns is UPLOADED, or CONFIRMED already. Any number may be begun at once; some go on at a time. It rejects
   * with UploadError and nothing else.
   */
  async upload(file: Blob, options: UploadOptions = {}): Promise<Media> {
    const { signal } = options;
    let created: Promise<CreateUploadResponse> | undefined;
    let mediaId: string | undefined;
    const tell = (phase: Phase, loaded: number) => options.onProgress?.({ phase, loaded, total: file.size, mediaId });

    const attempt = async (declared: CreateUploadRequest): Promise<Media> => {
      tell("creating", 0);
      // It is not cut off: it may have made a media that would then not be known here, and not be cancelled.
      created = this.#create(declared);
      const { media, request } = await abortable(created, signal);
      mediaId = media!.id;
      if (request) {
        tell("uploading", 0);
        await this.#parts.put(request, file, (sent) => tell("uploading", sent), signal);
      }
      return media!;
    };

    try {
      tell("queued", 0);
      const leave = await this.#slots.take(signal);
      try {
        const declared = await this.#declare(file, options, (done) => tell("hashing", done));
        await retry(() => attempt(declared), this.#parts.retry, signal);
      } finally {
        leave(); // waiting takes no bandwidth
      }
      tell("waiting", file.size);
      const media = await this.wait(mediaId!, options);
      tell("uploaded", file.size);
      return media;
    } catch (error) {
      const failure = named(error, mediaId);
      // Cancelled by the caller, or of no use as it is: then its key is free for the file that the user chooses next.
      if (!failure.retryable && failure.code !== "gone") created?.then(({ media }) => this.cancel(media!.id)).catch(() => {});
      throw failure;
    }
  }

  /**
   * create hashes the file and declares it, for code that sends it by other means. The answer has a media and, unless that
   * has landed already, the request to send.
   */
  async create(file: Blob, options: Omit<UploadOptions, "onProgress"> = {}): Promise<CreateUploadResponse> {
    const declared = await this.#declare(file, options, () => {});
    return retry(() => this.#create(declared), this.#parts.retry, options.signal);
  }

  /** wait returns the media once it has landed. It rejects with UploadError when it is gone, or not heard of in time. */
  async wait(mediaId: string, options: Pick<UploadOptions, "signal"> = {}): Promise<Media> {
    return this.#watcher.wait(mediaId, this.#parts.waitTimeoutMs, options.signal);
  }

  /** cancel gives up an upload that nothing has claimed. It goes on when the page is left. */
  async cancel(mediaId: string): Promise<void> {
    const once = () => this.service.cancelUpload({ mediaId }, { timeoutMs: this.#parts.callTimeoutMs });
    await retry(() => once().catch((error: unknown) => Promise.reject(fromService(error))), this.#parts.retry);
  }

  async #declare(file: Blob, options: UploadOptions, told: (bytes: number) => void): Promise<CreateUploadRequest> {
    if (options.signal?.aborted) throw aborted(options.signal);
    if (file.size === 0) throw new UploadError("empty_file", "the file is empty: S3 cannot sign the size of an empty upload; choose another");
    told(0);
    return create(CreateUploadRequestSchema, {
      contentType: options.contentType ?? (file.type || "application/octet-stream"),
      sizeBytes: BigInt(file.size),
      checksumSha256: await this.#parts.hash(file, told, options.signal),
      fileName: options.fileName ?? ("name" in file && typeof file.name === "string" ? file.name : ""),
      metadata: options.metadata ?? {},
      idempotencyKey: options.idempotencyKey ?? randomKey(), // the attempts of an upload are one
    });
  }

  async #create(declared: CreateUploadRequest): Promise<CreateUploadResponse> {
    try {
      const answer = await this.service.createUpload(declared, { timeoutMs: this.#parts.callTimeoutMs });
      if (!answer.media) throw new UploadError("internal", "the service answered without a media: is it coatcheck?");
      return answer;
    } catch (error) {
      throw fromService(error);
    }
  }
}

function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(5)), (n) => n.toString(36)).join("-");
}

/** named adds the media to an error that does not know of it. */
function named(error: unknown, mediaId: string | undefined): UploadError {
  const e = error instanceof UploadError ? error : new UploadError("internal", `the upload failed: ${String(error)}`, { cause: error });
  if (e.mediaId || !mediaId) return e;
  return new UploadError(e.code, e.message, { ...e, mediaId, cause: e.cause ?? e });
}

