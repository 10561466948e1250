// `coatcheck dev`, as a process with data of its own.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const binary = resolve(import.meta.dirname, "../../bin/coatcheck");

export interface Dev {
  api: string;
  s3: string;
  /** URL of its database. */
  database: string;
  /** Calls a method with JSON, as a backend does. */
  call(method: string, body: object): Promise<any>;
  stop(): Promise<void>;
}

export async function startDev(flags: string[] = [], env: Record<string, string> = {}): Promise<Dev> {
  const data = await mkdtemp(join(tmpdir(), "coatcheck-web-"));
  const child = spawn(binary, ["dev", "--listen", "127.0.0.1:0", "--data", data, ...flags], {
    env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  const exited = new Promise<void>((done) => child.on("exit", () => done()));
  const ready = new Promise<Dev>((found, failed) => {
    const read = (chunk: Buffer) => {
      said += chunk.toString();
      const api = /coatcheck is ready at (\S+)/.exec(said)?.[1];
      const s3 = /S3 and SQS\s+(\S+)/.exec(said)?.[1];
      const database = /Postgres\s+psql '(\S+)'/.exec(said)?.[1];
      if (api && s3 && database) found({ api, s3, database, call: (method, body) => call(api, method, body), stop });
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("exit", (code) => failed(new Error(`coatcheck dev ended with ${code}:\n${said}`)));
    child.on("error", failed);
  });
  const stop = async () => {
    child.kill("SIGTERM");
    await exited;
    await rm(data, { recursive: true, force: true });
  };
  return ready;
}

async function call(api: string, method: string, body: object): Promise<any> {
  const answer = await fetch(`${api}/coatcheck.v1.${method}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  return answer.json();
}
