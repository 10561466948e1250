// `coatcheck serve` with its api role, on the database and the S3 of a dev, and a token that it lets in.
import { execFile, spawn } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import type { Dev } from "./dev.js";

const binary = resolve(import.meta.dirname, "../../bin/coatcheck");

export interface Serve {
  api: string;
  operator: string; // tokens
  tenant: string;
  stop(): Promise<void>;
}

/** token is a new token, and the line that lets it in. */
async function token(...args: string[]): Promise<{ token: string; line: string }> {
  const { stdout, stderr } = await promisify(execFile)(binary, ["token", ...args]);
  return { token: /^ {2}(\S+)$/m.exec(stderr)![1]!, line: stdout.trim() };
}

/** startServe starts it on a free port, or again where one was. */
export async function startServe(dev: Dev, before?: Serve): Promise<Serve> {
  const [operator, tenant] = await Promise.all([token("--operator"), token("--tenant", "dev")]);
  const child = spawn(binary, ["serve", "--roles", "api", "--listen", before ? new URL(before.api).host : "127.0.0.1:0"], {
    env: {
      ...process.env, COATCHECK_DATABASE_URL: dev.database, COATCHECK_BUCKET: "coatcheck-dev", COATCHECK_AWS_ENDPOINT: dev.s3,
      AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test", COATCHECK_TOKENS: `${operator.line}\n${tenant.line}`,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  const exited = new Promise<void>((done) => child.on("exit", () => done()));
  const stop = async () => {
    child.kill("SIGTERM");
    await exited;
  };
  return new Promise((found, failed) => {
    const read = (chunk: Buffer) => {
      said += chunk.toString();
      const address = /"address":"([^"]+)"/.exec(said)?.[1];
      if (address) found({ api: `http://${address}`, operator: operator.token, tenant: tenant.token, stop });
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("exit", (code) => failed(new Error(`coatcheck serve ended with ${code}:\n${said}`)));
    child.on("error", failed);
  });
}
