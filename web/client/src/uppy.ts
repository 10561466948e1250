import { BasePlugin, type Body, type Meta, type PluginOpts, type Uppy, type UppyFile } from "@uppy/core";
import type { Client } from "./client.js";
import { fromService } from "./errors.js";

/** CoatcheckOptions are the plugin's. */
export interface CoatcheckOptions extends PluginOpts {
  /** From createClient. Its concurrency is the limit of uploads at a time. */
  readonly client: Client;
}

/**
 * Coatcheck is an uploader for Uppy: uppy.use(Coatcheck, { client }). A file is complete when its media is UPLOADED; its
 * response.body.mediaId is what the backend confirms. Removing a file and cancelling cancel at the service too; a retry
 * takes up the same media.
 */
export class Coatcheck<M extends Meta, B extends Body> extends BasePlugin<CoatcheckOptions, M, B> {
  readonly #keys = new Map<string, string>(); // idempotency keys by file

  constructor(uppy: Uppy<M, B>, options: CoatcheckOptions) {
    super(uppy, options);
    this.type = "uploader";
    this.id = options.id ?? "Coatcheck";
  }

  override install(): void {
    this.uppy.addUploader(this.#upload);
  }

  override uninstall(): void {
    this.uppy.removeUploader(this.#upload);
  }

  readonly #upload = async (ids: string[]): Promise<void> => {
    const files = this.uppy.getFilesByIds(ids).filter((file) => !file.error && !file.progress.uploadComplete);
    this.uppy.emit("upload-start", files.filter((file) => !file.progress.uploadStarted || !file.isRestored));
    await Promise.all(files.map((file) => this.#uploadOne(file)));
  };

  async #uploadOne(file: UppyFile<M, B>): Promise<void> {
    const controller = new AbortController();
    const removed = (gone: UppyFile<M, B>) => {
      if (gone.id === file.id) controller.abort();
    };
    const cancelled = () => controller.abort();
    this.uppy.on("file-removed", removed);
    this.uppy.on("cancel-all", cancelled);
    const uploadStarted = file.progress.uploadStarted ?? Date.now();
    try {
      const media = await this.opts.client.upload(file.data as Blob, {
        fileName: file.name,
        contentType: file.type || undefined,
        idempotencyKey: this.#key(file.id),
        signal: controller.signal,
        onProgress: ({ phase, loaded, total }) => {
          if (phase !== "uploading" || controller.signal.aborted) return;
          this.uppy.emit("upload-progress", this.uppy.getFile(file.id), { uploadStarted, bytesUploaded: loaded, bytesTotal: total });
        },
      });
      this.#keys.delete(file.id);
      this.uppy.emit("upload-success", this.uppy.getFile(file.id), { status: 200, body: { mediaId: media.id } as unknown as B });
    } catch (error) {
      const failure = fromService(error);
      // Its media is cancelled, and so takes no further attempt.
      if (!failure.retryable) this.#keys.delete(file.id);
      if (!controller.signal.aborted) this.uppy.emit("upload-error", this.uppy.getFile(file.id), failure);
    } finally {
      this.uppy.off("file-removed", removed);
      this.uppy.off("cancel-all", cancelled);
    }
  }

  #key(id: string): string {
    let key = this.#keys.get(id);
    if (!key) this.#keys.set(id, (key = crypto.getRandomValues(new Uint32Array(4)).join("-")));
    return key;
  }
}
