import { useEffect, useRef } from "preact/hooks";

/** SignIn asks for an operator's token. */
export function SignIn({ why, tried, onToken }: { why: string; tried: boolean; onToken(token: string): void }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = "Sign in · coatcheck";
    input.current?.focus();
  }, [why]);
  return (
    <div class="narrow">
      <h1>The operator's window</h1>
      {tried && why && <div class="failure" role="alert"><p>The token was refused: {why}</p></div>}
      <form class="card" onSubmit={(e) => {
        e.preventDefault();
        const token = input.current?.value.trim();
        if (token) onToken(token);
      }}>
        <label for="token">Operator's token</label>
        <input id="token" ref={input} type="password" required autoComplete="off" spellcheck={false} aria-describedby="token-help" />
        <button type="submit" class="primary">Open</button>
        <p id="token-help" class="muted">It is kept in this tab until you close it or sign out, and sent to this address only.</p>
      </form>
      <details open={tried}>
        <summary>Where does one get a token?</summary>
        <ol>
          <li><code>coatcheck token --operator</code> makes one. It shows the token, and a line that lets it in.</li>
          <li>Add the line to <code>COATCHECK_TOKENS</code>, or to the tokens file, of the processes with the api role.</li>
          <li>Tokens of tenants are refused here: this window shows what spans tenants.</li>
        </ol>
      </details>
    </div>
  );
}
