import { existsSync, readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";

/** Where `npm run dev` finds the API: the fixture server, or a running Windvane. */
const backend = process.env.WINDVANE_API ?? "http://127.0.0.1:9977";

/** What ends up in the built files and asks that its licence goes along. */
const SHIPPED = [
  "@codemirror/autocomplete",
  "@codemirror/commands",
  "@codemirror/language",
  "@codemirror/lint",
  "@codemirror/state",
  "@codemirror/streamparser",
  "@codemirror/view",
  "@lezer/common",
  "@lezer/highlight",
  "@lezer/lr",
  "@marijn/find-cluster-break",
  "@prometheus-io/codemirror-promql",
  "@prometheus-io/lezer-promql",
  "crelt",
  "lru-cache",
  "style-mod",
  "w3c-keyname",
  "preact",
  "@preact/signals",
  "@preact/signals-core",
  "uplot",
  "@dagrejs/dagre",
  "@fontsource-variable/inter",
  "@fontsource-variable/jetbrains-mono",
];

/** Writes `licenses.txt`: the licence of every library and font in the bundle. */
function licenses(): Plugin {
  const text = (name: string): string => {
    const file = ["LICENSE", "LICENSE.md"].map((one) => `node_modules/${name}/${one}`).find(existsSync);
    if (!file) throw new Error(`${name} is shipped without its licence: node_modules/${name} has none`);
    return `${name}\n${"=".repeat(name.length)}\n\n${readFileSync(file, "utf8").trim()}\n`;
  };
  return {
    name: "windvane-licenses",
    apply: "build",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "licenses.txt", source: SHIPPED.map(text).join("\n\n") });
    },
  };
}

export default defineConfig({
  plugins: [licenses()],
  build: {
    outDir: "../src/windvane/_ui",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  worker: { format: "es" },
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  server: { proxy: { "/api": backend } },
});
