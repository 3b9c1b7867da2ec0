import { defineConfig, type Plugin } from "vite";

// The server serves what is built below a path that names its content, so file names stay
// the same from build to build and addresses within are relative.
export default defineConfig({
  base: "./",
  plugins: [serviceWorker()],
  worker: { format: "es", rolldownOptions: { output: { entryFileNames: "[name].js" } } },
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    license: { fileName: "licenses.txt" },
    chunkSizeWarningLimit: 600, // the editor, which comes when it is needed
    rolldownOptions: {
      input: { index: "index.html", sw: "src/sw.ts" },
      output: {
        entryFileNames: "[name].js",
        chunkFileNames: "[name].js",
        assetFileNames: "[name][extname]",
      },
    },
  },
});

/** serviceWorker tells sw.js which files there are. */
function serviceWorker(): Plugin {
  return {
    name: "service-worker",
    enforce: "post",
    generateBundle(_, bundle) {
      const files = Object.keys(bundle).filter((name) => name !== "sw.js" && !/\.(html|txt)$/.test(name));
      const sw = bundle["sw.js"];
      if (sw?.type !== "chunk" || !sw.code.includes("__FILES__")) throw new Error("sw.js does not ask for __FILES__");
      sw.code = sw.code.replace("__FILES__", JSON.stringify(["icon.svg", ...files.filter((name) => name !== "icon.svg")].sort()));
    },
  };
}
