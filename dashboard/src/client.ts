// Asks the API. Addresses are relative to the page, so that it also works under a path; a token, where perfmon wants one, is kept for
// the browser tab only.

/** An answer that is an error: the HTTP status (0 = no answer at all) and what perfmon says about it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }

  /** This perfmon does not have the route: its capability is not built or switched off. */
  get absent(): boolean {
    return this.status === 404 || this.status === 501;
  }
}

const TOKEN_KEY = "perfmon.token";
const TIMEOUT_MS = 10_000;

/** Keeps the token for this tab. */
export function setToken(token: string): void {
  sessionStorage.setItem(TOKEN_KEY, token);
}

/** Headers that every question carries. */
export function headers(): Record<string, string> {
  const token = sessionStorage.getItem(TOKEN_KEY);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** `GET`, decoded. */
export function get<T>(path: string): Promise<T> {
  return ask<T>(path, { headers: { Accept: "application/json", ...headers() } });
}

/** `POST` of a JSON body. */
export function post(path: string, body: unknown): Promise<unknown> {
  const type = { "Content-Type": "application/json", "Accept": "application/json" };
  return ask(path, { method: "POST", headers: { ...type, ...headers() }, body: JSON.stringify(body) });
}

async function ask<T>(path: string, init: RequestInit): Promise<T> {
  let response: Response;
  let body: string;
  try {
    response = await fetch(path, { ...init, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    body = await response.text();
  } catch {
    throw new ApiError(0, "perfmon does not respond");
  }
  if (!response.ok) throw new ApiError(response.status, errorMessage(body) ?? `perfmon answered ${response.status}`);
  try {
    return (body === "" ? null : JSON.parse(body)) as T;
  } catch {
    throw new ApiError(response.status, "perfmon's answer is not JSON");
  }
}

/** What `{"error":{"code","message"}}` says. */
export function errorMessage(body: string): string | null {
  try {
    const message = (JSON.parse(body) as { error?: { message?: unknown } }).error?.message;
    return typeof message === "string" ? message : null;
  } catch {
    return null;
  }
}
