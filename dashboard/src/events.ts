// Server-sent events as text in, events out (WHATWG HTML, 9.2.6), however the text is cut. Not done: `id` and `retry`, which perfmon
// does not send.

/** One event. */
export interface ServerEvent {
  type: string;
  data: string;
}

/** Takes the stream's text piece by piece. */
export class EventParser {
  #rest = "";
  #type = "";
  #data: string[] = [];

  /** The events that this piece completes. */
  push(piece: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    const text = this.#rest + piece;
    // A carriage return at the very end may be the first half of a line end.
    const usable = text.endsWith("\r") ? text.length - 1 : text.length;
    const lines = text.slice(0, usable).split(/\r\n|\n|\r/);
    this.#rest = (lines.pop() ?? "") + text.slice(usable);
    for (const line of lines) {
      const event = this.#line(line);
      if (event) events.push(event);
    }
    return events;
  }

  #line(line: string): ServerEvent | null {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#type = value;
    if (field === "data") this.#data.push(value);
    return null;
  }

  #dispatch(): ServerEvent | null {
    const event = this.#data.length > 0 ? { type: this.#type || "message", data: this.#data.join("\n") } : null;
    this.#type = "";
    this.#data = [];
    return event;
  }
}
