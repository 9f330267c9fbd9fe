import { expect, it } from "vitest";
import { EventParser, type ServerEvent } from "./events";

const STREAM =
  ': hello\r\n\r\nevent: summary\r\ndata: {"a":1}\r\n\r\ndata: one\rdata:two\r\revent: alert\nid: 7\nignored\ndata: ü→\n\nevent: empty\n\n';
const EVENTS: ServerEvent[] = [
  { type: "summary", data: '{"a":1}' },
  { type: "message", data: "one\ntwo" },
  { type: "alert", data: "ü→" },
];

it("reads events with every kind of line end", () => {
  expect(new EventParser().push(STREAM)).toEqual(EVENTS);
});

it("gives the same events wherever the text is cut", () => {
  for (let first = 0; first <= STREAM.length; first += 1) {
    for (let second = first; second <= STREAM.length; second += 1) {
      const parser = new EventParser();
      const pieces = [STREAM.slice(0, first), STREAM.slice(first, second), STREAM.slice(second)];
      expect(pieces.flatMap((piece) => parser.push(piece))).toEqual(EVENTS);
    }
  }
});

it("keeps an event back until its blank line", () => {
  const parser = new EventParser();
  expect(parser.push("event: alert\ndata: x\n")).toEqual([]);
  expect(parser.push("\n")).toEqual([{ type: "alert", data: "x" }]);
});
