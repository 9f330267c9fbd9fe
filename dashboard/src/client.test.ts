import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ApiError, get, post, setToken } from "./client";

const calls: [string, RequestInit][] = [];
const answerWith = (status: number, body: string): void => {
  vi.stubGlobal("fetch", (path: string, init: RequestInit) => {
    calls.push([path, init]);
    return Promise.resolve(new Response(body, { status }));
  });
};

beforeEach(() => {
  calls.length = 0;
  sessionStorage.clear();
});
afterEach(() => vi.unstubAllGlobals());

it("decodes answers and sends JSON with the token, once there is one", async () => {
  answerWith(200, '{"a":1}');
  expect(await get("api/v1/summary")).toEqual({ a: 1 });
  expect(calls[0]?.[1].headers).not.toHaveProperty("Authorization");
  setToken("secret");
  await post("api/v1/alerts/a1/ack", { by: "Ada" });
  expect(calls[1]?.[1]).toMatchObject({
    method: "POST",
    body: '{"by":"Ada"}',
    headers: { "Authorization": "Bearer secret", "Content-Type": "application/json" },
  });
});

it.each([
  [404, '{"error":{"code":"not_found","message":"there is no alert a9"}}', "there is no alert a9", true],
  [501, "", "perfmon answered 501", true],
  [500, "<html>", "perfmon answered 500", false],
  [200, "<html>", "perfmon's answer is not JSON", false],
])("answer %d %s is an error", async (status, body, message, absent) => {
  answerWith(status, body);
  const error = await get("x").catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ status, message, absent });
});

it("says when nobody answers", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("refused")));
  await expect(get("x")).rejects.toMatchObject({ status: 0, absent: false });
});
