// Calls of AdminService.
import { Code, ConnectError, createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { AdminService } from "@coatcheck/client/proto";

export type Admin = Client<typeof AdminService>;

/** connect returns a client that sends the token it is told of for each call, if there is one. */
export function connect(baseUrl: string, token: () => string): Admin {
  const authorize: Interceptor = (next) => (request) => {
    if (token()) request.header.set("Authorization", `Bearer ${token()}`);
    return next(request);
  };
  return createClient(AdminService, createConnectTransport({ baseUrl, interceptors: [authorize] }));
}

/** refused reports whether an error says that the caller is not known for an operator. */
export function refused(error: unknown): boolean {
  const { code } = ConnectError.from(error);
  return code === Code.Unauthenticated || code === Code.PermissionDenied;
}

/** say is an error in words. */
export function say(error: unknown): string {
  const e = ConnectError.from(error);
  switch (e.code) {
    case Code.Unimplemented: return "This process does not offer that. Is it an older version?";
    case Code.DeadlineExceeded: return "It took too long. Try again.";
    case Code.Unknown: return `The service does not answer (${e.rawMessage}).`;
    default: return e.rawMessage;
  }
}
