// Builds the page into dist/: fixed names, because the binary embeds the files one by one; relative addresses, so that the page
// also works behind a proxy that serves it under a path.
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: false,
    rollupOptions: { output: { entryFileNames: "app.js", assetFileNames: "app.[ext]" } },
  },
  server: { proxy: { "/api": "http://127.0.0.1:9911", "/health": "http://127.0.0.1:9911" } },
});
