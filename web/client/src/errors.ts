import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, ErrorReason } from "./gen/coatcheck/v1/media_pb.js";

/** UploadErrorCode is a failure's stable name. The README has the table of what to do about each. */
export type UploadErrorCode =
  /** The caller's AbortSignal. The error's name is "AbortError", as fetch's is. */
  | "aborted"
  /** The file has no bytes. */
  | "empty_file"
  /** The file cannot be read any more, or changed while it was read. */
  | "file_changed"
  /** The deployment does not allow the file's content type. */
  | "type_refused"
  /** The file is larger than the deployment allows. */
  | "size_refused"
  /** Another field is refused; field and rule tell which and why. */
  | "invalid"
  /** The idempotency key was used for another file. */
  | "key_reused"
  /** The service does not know the caller. */
  | "unauthorized"
  /** Something has claimed the media already, so it cannot be cancelled. */
  | "confirmed"
  /** The media was cancelled, swept or rejected meanwhile. */
  | "gone"
  /** S3 or the service could not be reached. */
  | "network"
  /** S3 or the service is there, and failed too often. */
  | "unavailable"
  /** Presigned URLs expire before they can be used. */
  | "expired"
  /** S3 refuses the request for good. */
  | "s3_refused"
  /** It was sent, and the service has not heard of it in time. */
  | "not_notified"
  /** Something that should not happen. */
  | "internal";

interface Details {
  readonly mediaId?: string | undefined;
  readonly field?: string | undefined;
  readonly rule?: string | undefined;
  readonly status?: number | undefined;
  readonly cause?: unknown;
}

const later: ReadonlySet<UploadErrorCode> = new Set(["network", "unavailable", "expired", "not_notified"]);

/** UploadError is what every failed upload is rejected with. Its message is for developers; code is for programs. */
export class UploadError extends Error {
  /** Why. */
  readonly code: UploadErrorCode;
  /** The same upload may succeed later, as it is. */
  readonly retryable: boolean;
  /** Id of the media, once there is one. */
  readonly mediaId: string | undefined;
  /** Name of the refused field. */
  readonly field: string | undefined;
  /** Stable name of the rule that the field broke, such as "size_bytes.limit". */
  readonly rule: string | undefined;
  /** Status of S3's answer. */
  readonly status: number | undefined;

  constructor(code: UploadErrorCode, message: string, details: Details = {}) {
    super(message, { cause: details.cause });
    this.name = code === "aborted" ? "AbortError" : "UploadError";
    this.code = code;
    this.retryable = later.has(code);
    this.mediaId = details.mediaId;
    this.field = details.field;
    this.rule = details.rule;
    this.status = details.status;
  }
}

/** aborted is the error of a caller who changed their mind. */
export function aborted(signal: AbortSignal): UploadError {
  return new UploadError("aborted", "the upload was cancelled", { cause: signal.reason });
}

/** unreadable is the error of a file that the browser cannot read any more. */
export function unreadable(cause: unknown): UploadError {
  return new UploadError("file_changed", "the file cannot be read: it was moved, deleted or changed after it was chosen; choose it again", { cause });
}

/** fromService makes an UploadError of what a call of the service was answered with. */
export function fromService(error: unknown): UploadError {
  if (error instanceof UploadError) return error;
  const answer = ConnectError.from(error);
  const said = answer.rawMessage;
  const info = answer.findDetails(ErrorInfoSchema)[0];
  const details = { cause: error, mediaId: info?.mediaId || undefined, field: info?.field || undefined, rule: info?.rule || undefined };
  if (info?.reason === ErrorReason.IDEMPOTENCY_MISMATCH) {
    return new UploadError("key_reused", `${said}; use another idempotency key for another file`, details);
  }
  if (info?.reason === ErrorReason.CONFIRMED) {
    return new UploadError("confirmed", `${said}; what uses it has to release it`, details);
  }
  switch (answer.code) {
    case Code.InvalidArgument:
      if (info?.rule === "content_type.allowed") return new UploadError("type_refused", `content type ${said}`, details);
      if (info?.rule === "size_bytes.limit") return new UploadError("size_refused", `size ${said}`, details);
      return new UploadError("invalid", said, details);
    case Code.Unauthenticated:
    case Code.PermissionDenied:
      return new UploadError("unauthorized", `the service does not let this caller in (${said}): sign in again, or check what adds the token`, details);
    case Code.NotFound:
    case Code.FailedPrecondition:
      return new UploadError("gone", `${said}: upload the file anew`, details);
    case Code.Unavailable:
    case Code.DeadlineExceeded:
    case Code.ResourceExhausted:
    case Code.Aborted:
      return new UploadError("unavailable", `the service does not answer (${said}): try again later`, details);
    case Code.Unimplemented:
      return new UploadError("internal", `there is no coatcheck at this address (${said}): check baseUrl`, details);
    case Code.Unknown:
      // fetch has one error for everything that keeps a page from getting an answer.
      if (answer.cause instanceof TypeError) {
        return new UploadError("network", "the service cannot be reached: the device is offline, something blocks the request, or the service's --allowed-origins do not name this page's origin", details);
      }
  }
  return new UploadError("internal", `the service failed (${said}): its log tells more`, details);
}
