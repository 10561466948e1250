// A service in memory that answers as it is told to.
import { createClient, createRouterTransport, Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { Client, type Parts } from "../src/client.js";
import { MediaState, type Media } from "../src/gen/coatcheck/v1/media_pb.js";
import { UploadService, type CreateUploadRequest } from "../src/gen/coatcheck/v1/upload_service_pb.js";
import type { Put } from "../src/put.js";

export class Service {
  readonly created: CreateUploadRequest[] = [];
  readonly cancelled: string[] = [];
  readonly watched: string[][] = [];
  readonly asked: string[] = [];
  readonly states = new Map<string, MediaState>();
  streams = 0; // open ones
  /** Told before each answer; what it throws is the answer. */
  onCreate: (n: number) => void | Promise<void> = () => {};
  onGet: (id: string) => void = () => {};
  onWatch: (n: number) => void = () => {};
  /** What a stream does after it has told how all are. */
  stream: (ids: string[], n: number) => AsyncGenerator<{ media?: { id: string; state: MediaState } }> = forever;

  readonly client = createClient(UploadService, createRouterTransport(({ service }) => {
    service(UploadService, {
      createUpload: async (request) => {
        this.created.push(request);
        await this.onCreate(this.created.length);
        const id = `media-${request.idempotencyKey}`;
        if (!this.states.has(id)) this.states.set(id, MediaState.PENDING);
        const media = this.media(id);
        return media.state === MediaState.PENDING
          ? { media, request: { method: "PUT", url: `https://s3/${id}/${this.created.length}`, headers: {} } }
          : { media };
      },
      getUpload: ({ mediaId }) => {
        this.asked.push(mediaId);
        this.onGet(mediaId);
        return { media: this.media(mediaId) };
      },
      watchUpload: ({ mediaIds }, context) => this.watch(mediaIds, context),
      cancelUpload: ({ mediaId }) => {
        this.cancelled.push(mediaId);
        this.states.set(mediaId, MediaState.DELETED);
        return { media: this.media(mediaId) };
      },
    });
  }));

  private async *watch(ids: string[], context: HandlerContext) {
    const n = this.watched.push(ids);
    this.onWatch(n);
    this.streams++;
    try {
      for (const id of ids) yield { media: this.media(id) };
      const more = this.stream(ids, n);
      const ended = new Promise<{ done: true; value: undefined }>((end) =>
        context.signal.addEventListener("abort", () => end({ done: true, value: undefined })));
      for (;;) {
        const next = await Promise.race([more.next(), ended]);
        if (next.done) return;
        yield next.value as { media?: Media };
      }
    } finally {
      this.streams--;
    }
  }

  private media(id: string) {
    const state = this.states.get(id);
    if (state === undefined) throw new ConnectError(`media ${id}: there is none`, Code.NotFound);
    return { id, state };
  }
}

export async function* forever(): AsyncGenerator<never> {
  await new Promise(() => {});
}

export interface Rig {
  service: Service;
  pauses: number[];
  put: { urls: string[]; do: Put };
  online: { is: boolean; waits: number };
  client: Client;
}

/** rig is a client of a fake service. What is put lands at once, and pauses take no time, unless a test says otherwise. */
export function rig(parts: Partial<Parts> = {}): Rig {
  const service = new Service();
  const r = {
    service,
    pauses: [] as number[],
    online: { is: true, waits: 0 },
    put: { urls: [] as string[], do: (async (request) => land(service, request.url)) as Put },
  };
  const client = new Client({
    service: service.client,
    hash: async (file, told) => {
      told(file.size);
      return "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    },
    put: async (request, ...rest) => {
      r.put.urls.push(request.url);
      return r.put.do(request, ...rest);
    },
    retry: {
      attempts: 4,
      sleep: async (ms) => {
        r.pauses.push(ms);
        await new Promise((next) => setImmediate(next));
      },
      online: {
        now: () => r.online.is,
        wait: async () => {
          if (++r.online.waits >= 20) r.online.is = true;
        },
      },
    },
    callTimeoutMs: 10_000,
    waitTimeoutMs: 60_000,
    concurrency: 4,
    ...parts,
  });
  return { ...r, client };
}

/** land is what S3's notification does, for the media of a URL. */
export function land(service: Service, url: string) {
  service.states.set(new URL(url).pathname.split("/")[1]!, MediaState.UPLOADED);
}

export const file = (name = "coat.png") => new File(["a coat"], name, { type: "image/png" });

export const never = <T>() => new Promise<T>(() => {});
