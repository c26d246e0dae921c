import "@fontsource-variable/inter/standard.css";
import "@fontsource-variable/jetbrains-mono/wght.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/controls.css";
import "./styles/data.css";
import "./styles/graph.css";
import "./styles/traces.css";
import "./styles/trace.css";
import "./styles/analysis.css";
import "./styles/metrics.css";
import "./styles/rules.css";
import { render } from "preact";
import { App } from "./app/App";
import { followLinks } from "./app/router";

document.addEventListener("click", followLinks);
render(<App />, document.getElementById("app")!);
