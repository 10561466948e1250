// The operator's token. It is kept for this tab only, and sent to nobody but the service that served the page.

const name = "coatcheck.operator.token";

export const session = {
  get token(): string {
    return sessionStorage.getItem(name) ?? "";
  },
  set token(token: string) {
    if (token) sessionStorage.setItem(name, token);
    else sessionStorage.removeItem(name);
  },
};
