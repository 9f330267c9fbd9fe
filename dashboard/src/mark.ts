// perfmon's mark, as in public/icon.svg, drawn here: the browser asks for that file already, for its tab.
import { svg } from "./dom";

/** The mark, beside the name. */
export function mark(): SVGElement {
  const line = { "fill": "none", "stroke": "#fff", "stroke-width": 2.6, "stroke-linecap": "round", "stroke-linejoin": "round" };
  return svg(
    "svg",
    { "viewBox": "0 0 32 32", "width": 22, "height": 22, "aria-hidden": "true" },
    svg("rect", { width: 32, height: 32, rx: 7, fill: "#1f6feb" }),
    svg("path", { d: "M5 18h5l3-9 5 15 4-10 2 4h3", ...line }),
  );
}
