import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { fromService, UploadError } from "../src/errors.js";
import { ErrorInfoSchema, ErrorReason } from "../src/gen/coatcheck/v1/media_pb.js";
import { refusal } from "../src/put.js";

const refused = (code: Code, info?: { reason: ErrorReason; field?: string; rule?: string; mediaId?: string }) =>
  new ConnectError("said", code, undefined, info && [{ desc: ErrorInfoSchema, value: create(ErrorInfoSchema, info) }]);

describe("what the service answers", () => {
  it.each([
    [refused(Code.InvalidArgument, { reason: ErrorReason.INVALID_FIELD, field: "contentType", rule: "content_type.allowed" }), "type_refused", false],
    [refused(Code.InvalidArgument, { reason: ErrorReason.INVALID_FIELD, field: "sizeBytes", rule: "size_bytes.limit" }), "size_refused", false],
    [refused(Code.InvalidArgument, { reason: ErrorReason.INVALID_FIELD, field: "fileName", rule: "file_name.form" }), "invalid", false],
    [refused(Code.AlreadyExists, { reason: ErrorReason.IDEMPOTENCY_MISMATCH }), "key_reused", false],
    [refused(Code.FailedPrecondition, { reason: ErrorReason.CONFIRMED, mediaId: "m" }), "confirmed", false],
    [refused(Code.FailedPrecondition, { reason: ErrorReason.GONE, mediaId: "m" }), "gone", false],
    [refused(Code.NotFound), "gone", false],
    [refused(Code.Unauthenticated), "unauthorized", false],
    [refused(Code.PermissionDenied), "unauthorized", false],
    [refused(Code.Unavailable), "unavailable", true],
    [refused(Code.DeadlineExceeded), "unavailable", true],
    [refused(Code.ResourceExhausted), "unavailable", true],
    [refused(Code.Unimplemented), "internal", false],
    [refused(Code.Internal), "internal", false],
    [refused(Code.Unknown), "internal", false],
    [ConnectError.from(new TypeError("Failed to fetch")), "network", true],
    ["what", "internal", false],
  ] as const)("%s is %s", (answer, code, retryable) => {
    const error = fromService(answer);
    expect(error).toMatchObject({ name: "UploadError", code, retryable, cause: answer });
  });

  it("is told with the field and the rule", () => {
    const error = fromService(refused(Code.InvalidArgument, { reason: ErrorReason.INVALID_FIELD, field: "fileName", rule: "file_name.form" }));
    expect(error).toMatchObject({ field: "fileName", rule: "file_name.form", mediaId: undefined, message: "said" });
  });

  it("that is an UploadError already stays one", () => {
    const error = new UploadError("gone", "it is gone");
    expect(fromService(error)).toBe(error);
  });
});

describe("what S3 answers", () => {
  const xml = (code: string, message = "") => `<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>${message}</Message><Resource>/secret</Resource></Error>`;
  it.each([
    [200, "", undefined],
    [204, "", undefined],
    [412, xml("PreconditionFailed"), undefined],
    [400, xml("BadDigest"), "file_changed"],
    [400, xml("ExpiredToken"), "expired"],
    [403, xml("AccessDenied", "Request has expired"), "expired"],
    [403, xml("AccessDenied", "Access Denied"), "s3_refused"],
    [403, xml("SignatureDoesNotMatch"), "s3_refused"],
    [403, "<html>a proxy's page</html>", "s3_refused"],
    [409, xml("ConditionalRequestConflict"), "unavailable"],
    [408, "", "unavailable"],
    [429, "", "unavailable"],
    [400, xml("RequestTimeout"), "unavailable"],
    [500, xml("InternalError"), "unavailable"],
    [503, xml("SlowDown"), "unavailable"],
  ] as const)("%i %s is %s", (status, body, code) => {
    const error = refusal(status, body);
    expect(error?.code).toBe(code);
    if (error) expect(error.status).toBe(status);
    expect(error?.message ?? "").not.toContain("secret");
  });
});
