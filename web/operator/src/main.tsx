import { render } from "preact";
import { App } from "./app.js";
import { connect } from "./api.js";
import { session } from "./session.js";
import { applyTheme } from "./parts/theme.js";

applyTheme();
const root = document.getElementById("app")!;
root.replaceChildren();
render(<App admin={connect(location.origin, () => session.token)} />, root);
