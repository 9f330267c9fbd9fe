import { describe, expect, it } from "vitest";
import { bytes, compact, count, decimal, duration, path, percent, rate, usd } from "./format";

describe("what is not known is a dash, never 0", () => {
  it.each([count, compact, decimal, duration, rate, percent, bytes, usd])("%o", (format) => {
    expect(format(null)).toBe("–");
    expect(format(undefined)).toBe("–");
    expect(format(Number.NaN)).toBe("–");
    expect(format(0)).toMatch(/^\$?0( ms| %| B)?$/);
  });
});

it.each([
  [0.004, "4 µs"],
  [0.241, "0.24 ms"],
  [9.996, "10.0 ms"],
  [42.07, "42.1 ms"],
  [402.118, "402 ms"],
  [999.6, "1.00 s"],
  [1_842.113, "1.84 s"],
  [59_949, "59.9 s"],
  [59_951, "1 m 00 s"],
  [125_000, "2 m 05 s"],
  [3_599_600, "1 h 00 m"],
  [11_400_000, "3 h 10 m"],
  [86_520_000, "24 h 02 m"],
  [259_200_000, "3 d"],
])("duration of %d ms is %s", (ms, text) => expect(duration(ms)).toBe(text));

it.each([
  [0.000_01, "< 0.01 %"],
  [0.0003, "0.03 %"],
  [0.0119, "1.2 %"],
  [0.5, "50.0 %"],
  [0.995_1, "99.51 %"],
  [0.999_999, "> 99.99 %"],
  [1, "100 %"],
])("rate %d is %s", (value, text) => expect(rate(value)).toBe(text));

it.each([
  [1_023, "1,023 B"],
  [1_536, "1.50 KiB"],
  [212_860_928, "203 MiB"],
  [1_073_741_824, "1.00 GiB"],
])("%d bytes are %s", (value, text) => expect(bytes(value)).toBe(text));

it.each([
  [0.000_000_4, "< $0.000001"],
  [0.000_548, "$0.000548"],
  [0.002_661, "$0.0027"],
  [12.345, "$12.35"],
  [1_234.5, "$1,235"],
])("%d dollars are %s", (value, text) => expect(usd(value)).toBe(text));

it.each([
  [9_999, "9,999"],
  [12_345, "12.3 k"],
  [999_960, "1.00 M"],
  [512_004, "512 k"],
  [1_880_000_000, "1.88 G"],
])("%d is short %s", (value, text) => expect(compact(value)).toBe(text));

it.each([
  ["/caf%C3%A9/{id}", "/café/{id}"],
  ["/%E6%9D%B1%E4%BA%AC", "/東京"],
  ["/a%2Fb%20c%25%0A", "/a%2Fb%20c%25%0A"],
  ["/%E2%80%AEevil", "/%E2%80%AEevil"],
  ["/broken%C3", "/broken%C3"],
  ["/100%", "/100%"],
])("path %s reads %s", (encoded, read) => expect(path(encoded)).toBe(read));
