/**
 * The page's own script as a classic one. What Chromium keeps of a compiled script it reads back for classic scripts alone: a
 * module from a service worker's cache is compiled anew at each opening.
 */
import type { Plugin } from "vite";

const MODULE_TAG = /<script type="module" crossorigin src=/g;
/** It is written for CommonJS: what joins the two would lie in the page's script, which then had to export it. */
const COMMON = /\/node_modules\/jsqr\/dist\/jsQR\.js$/;
/** As in a module: strict, and nothing of it is global. Where it lies is known only while it begins. */
const OPENS = '(()=>{"use strict";const document_script=document.currentScript.src;';
const CLOSES = "})();";

export function classicPage(): Plugin {
  return {
    name: "eigenkring-classic-page",
    apply: "build",
    // Vite asks for it before it loads what is loaded later.
    config: () => ({ define: { "import.meta.resolve": "undefined" } }),
    transform(code, id) {
      if (!COMMON.test(id)) return undefined;
      const head = "const exports = {}, module = { exports };";
      return { code: `${head}\n${code}\nexport default module.exports;`, map: null };
    },
    // Its name follows from what it is.
    augmentChunkHash: ({ isEntry }) => (isEntry ? OPENS + CLOSES : undefined),
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        for (const one of Object.values(bundle)) {
          if (one.type !== "chunk" || !one.isEntry) continue;
          const { fileName, imports, exports } = one;
          if (imports.length + exports.length > 0) {
            this.error(`${fileName} would have to be a module: ${[...imports, ...exports].join(", ")}`);
          }
          const code = one.code.replaceAll("import.meta.url", "document_script");
          if (code.includes("import.meta")) this.error(`${fileName} asks for import.meta`);
          one.code = OPENS + code + CLOSES;
        }
      },
    },
    transformIndexHtml: {
      order: "post",
      handler(html) {
        if (!html.match(MODULE_TAG)) throw new Error("the page has no script to make classic");
        return html.replace(MODULE_TAG, "<script defer src=");
      },
    },
  };
}
