// How a request ended, in words.

interface Ended {
  error: string | null;
  status_code: number | null;
}

const STATUS: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  529: "Overloaded",
};
/** In a cell, and as a sentence. */
const ERRORS: Record<string, [short: string, sentence: string]> = {
  client_closed: ["client hung up", "The client closed the connection before the answer was complete."],
  reset: ["server reset", "The server reset the connection."],
  timeout: ["no answer in time", "No answer came in time."],
  truncated: ["answer cut off", "The server closed the connection before the answer was complete."],
  connect_refused: ["connection refused", "The server refused the connection."],
  connect_unreachable: ["not reachable", "The server's host or network could not be reached, or no local port was left."],
  connect_timeout: ["no answer to connect", "The server did not answer the connection attempt in time."],
  protocol: ["not valid HTTP", "What passed is not valid HTTP."],
};

const status = (code: number): string => (STATUS[code] ? `${code} ${STATUS[code]}` : String(code));

/** `429 Too Many Requests, client hung up`. */
export function outcome({ error, status_code: code }: Ended): string {
  const ended = error === null ? null : (ERRORS[error]?.[0] ?? error.replaceAll("_", " "));
  if (code === null) return ended ?? "answer not seen";
  return ended === null ? status(code) : `${status(code)}, ${ended}`;
}

/** The same as a sentence. */
export function outcomeSentence({ error, status_code: code }: Ended): string {
  const answer = code === null ? "perfmon saw no status." : `The server answered ${status(code)}.`;
  return error === null ? answer : `${code === null ? "" : `${answer} `}${ERRORS[error]?.[1] ?? error}`;
}
