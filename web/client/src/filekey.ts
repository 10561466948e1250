/**
 * fileKey is an idempotency key for a file that goes to a place of the product's, such as "draft/7". The same file sent to the
 * same place again, after a reload too, is the same upload: what has landed is not sent again. The file is known by its
 * name, type, size and time of change; the place keeps apart two posts that show the same file.
 */
export async function fileKey(file: File, place: string): Promise<string> {
  const { hashBlob } = await import("./sha256.js");
  const known = JSON.stringify([place, file.name, file.type, file.size, file.lastModified]);
  return hashBlob(new Blob([known]), () => {}, () => false);
}
