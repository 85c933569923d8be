/** Chromium without a window, on pages from loopback that run the engine as any page would. */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createRequire } from "node:module";
import { basename, dirname, extname, join } from "node:path";

import { chromium as playwright } from "playwright-core";

import { bundleForBrowsers } from "../../bundle.ts";
import { chromium } from "../../chromium.ts";
import type * as page from "./page.ts";

type Page = typeof page;
type Answer<Name extends keyof Page> = Awaited<ReturnType<Page[Name]>>;

export interface BrowserStage {
  /** Calls a function of page.ts in a page that was opened for it. */
  readonly call: <Name extends keyof Page>(name: Name, ...given: Parameters<Page[Name]>) => Promise<Answer<Name>>;
  readonly close: () => Promise<void>;
}

/** The folder of ONNX Runtime's package for the web: modules, and WebAssembly beside them. */
const runtime = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/wasm"));

/** Where a page finds the packages that its module imports. */
const importMap = {
  imports: Object.fromEntries(
    ["wasm", "webgpu"].map((name) => [`onnxruntime-web/${name}`, `/ort/ort.${name}.bundle.min.mjs`]),
  ),
};
const html = `<!doctype html><title>engine</title><script type="importmap">${JSON.stringify(importMap)}</script>`;

const types: Readonly<Record<string, string>> = {
  ".mjs": "text/javascript",
  ".js": "text/javascript",
  ".wasm": "application/wasm",
};

/** Without these two headers a page may not share memory between threads. */
const isolation = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

export interface StageOptions {
  /** Bytes by path. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Whether pages get SwiftShader by WebGPU. */
  readonly gpu: boolean;
  /** Whether pages may have threads. */
  readonly isolated?: boolean;
}

export async function openBrowser({ files, gpu, isolated = true }: StageOptions): Promise<BrowserStage> {
  const found = chromium();
  if (!found) throw new RangeError("there is no Chromium");
  const { code } = await bundleForBrowsers('export * from "../../test/e2e/browser/page.ts";', "esm");
  const served = new Map<string, string | Uint8Array>([["/", html], ["/page.js", code], ...files]);
  const server = createServer(({ url = "" }, response) => {
    const body = url.startsWith("/ort/") ? readFileSync(join(runtime, basename(url))) : served.get(url);
    const type = types[extname(url)] ?? (url === "/" ? "text/html" : "application/octet-stream");
    response.writeHead(body === undefined ? 404 : 200, { "content-type": type, ...(isolated && isolation) }).end(body);
  });
  await new Promise<void>((listening) => void server.listen(0, "127.0.0.1", listening));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const browser = await playwright.launch({
    executablePath: found.executable,
    env: { ...process.env, ...found.environment },
    args: gpu ? ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"] : [],
  });
  return {
    call: async <Name extends keyof Page>(name: Name, ...given: Parameters<Page[Name]>): Promise<Answer<Name>> => {
      const tab = await browser.newPage();
      try {
        await tab.goto(address);
        const called = `import("/page.js").then((page) => page.${name}(...${JSON.stringify(given)}))`;
        const answer: unknown = await tab.evaluate(called);
        return answer as Answer<Name>;
      } finally {
        await tab.close();
      }
    },
    close: async () => {
      await browser.close();
      await new Promise((closed) => void server.close(closed));
    },
  };
}
