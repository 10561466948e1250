const sampleSize = 32_000_000;
let made = 0;

/** sample makes a file for those who have none at hand: large enough to be seen on its way, and different each time. */
export function sample(): File {
  const part = new Uint8Array(1_000_000);
  for (let i = 0; i < part.length; i += 50_000) crypto.getRandomValues(part.subarray(i, i + 50_000)); // it makes 65,536 at most
  return new File(Array<Uint8Array<ArrayBuffer>>(sampleSize / part.length).fill(part), `sample-${++made}.bin`, { type: "application/octet-stream" });
}
