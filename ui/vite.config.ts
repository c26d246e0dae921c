import { defineConfig } from "vite";

/** Where `npm run dev` finds the API: the fixture server, or a running Windvane. */
const backend = process.env.WINDVANE_API ?? "http://127.0.0.1:9977";

export default defineConfig({
  build: {
    outDir: "../src/windvane/_ui",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 600,
    reportCompressedSize: false,
  },
  worker: { format: "es" },
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  server: { proxy: { "/api": backend } },
});
