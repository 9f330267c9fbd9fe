// Guards over the sources: nothing that turns text into markup or code, nothing from another host, small files.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "..");
const files = (readdirSync(join(ROOT, "src"), { recursive: true }) as string[])
  .filter((file) => /\.(ts|css)$/.test(file))
  .map((file) => join("src", file));
const code = files.filter((file) => !file.includes(".test."));
const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");

it("has sources to look at", () => expect(code.length).toBeGreaterThan(20));

it.each([
  "innerHTML",
  "outerHTML",
  "insertAdjacentHTML",
  "document.write",
  "createContextualFragment",
  "DOMParser",
  "setHTML",
  "eval(",
  "new Function",
  "srcdoc",
])("never uses %s", (word) => {
  expect(code.filter((file) => read(file).includes(word))).toEqual([]);
});

it("names no other host", () => {
  // The name of the SVG vocabulary looks like an address and is none.
  const text = (file: string): string => read(file).replaceAll('"http://www.w3.org/2000/svg"', "");
  expect([...code, "index.html"].filter((file) => /(https?:)?\/\/[a-z0-9-]+\.[a-z]/i.test(text(file)))).toEqual([]);
});

it("has no inline script, style or handler", () => {
  const page = read("index.html");
  expect(page).not.toMatch(/\sstyle=|\son[a-z]+=|<style|javascript:/i);
  for (const script of page.match(/<script[^>]*>[^<]*/g) ?? []) expect(script).toMatch(/src="[^"]+"[^>]*>$/);
});

it("keeps files small (types apart)", () => {
  const long = code.filter((file) => !file.endsWith("api.ts") && read(file).split("\n").length > 300);
  expect(long).toEqual([]);
});

it("opens every module by saying what it is", () => {
  expect(code.filter((file) => !/^(\/\/ |\/\* )/.test(read(file)))).toEqual([]);
});

it("builds to less than 150 KB", () => {
  const sizes = (readdirSync(join(ROOT, "dist"), { recursive: true }) as string[]).map((file) => statSync(join(ROOT, "dist", file)).size);
  expect(sizes.length).toBeGreaterThan(2);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(150_000);
});
