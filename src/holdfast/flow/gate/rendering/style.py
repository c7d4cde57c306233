"""The style of the page: calm, in light, in dark and on paper; no font, picture or rule comes from elsewhere."""

__all__ = ["STYLE"]

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #fbfaf8; --card: #ffffff; --ink: #22262b; --soft: #626a73; --line: #e2dfd9;
  --pass: #1f7a4d; --fail: #b3352b; --open: #8a6108; --harm: #f6e4e1; --old: #7b8794; --new: #2b5fa8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #15181c; --card: #1c2025; --ink: #e4e6e8; --soft: #9aa3ac; --line: #30363d;
    --pass: #5cc08d; --fail: #ef8b80; --open: #dcb257; --harm: #3a2523; --old: #8b97a4; --new: #7fb0f0;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
header { border-left: 6px solid var(--soft); padding-left: 1.1rem; margin-bottom: 2rem; }
header.pass { border-color: var(--pass); }
header.fail { border-color: var(--fail); }
header.inconclusive, header.skipped { border-color: var(--open); }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0.15rem 0; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2.4rem 0 0.8rem; font-weight: 650; }
h3 { font-size: 0.95rem; margin: 0 0 0.1rem; font-weight: 600; overflow-wrap: anywhere; }
p { margin: 0.3rem 0; }
.soft, figcaption, dt, th { color: var(--soft); }
.soft, figcaption { font-size: 0.9rem; }
.word { font-weight: 650; white-space: nowrap; }
.word.pass { color: var(--pass); }
.word.fail { color: var(--fail); }
.word.inconclusive, .word.skipped { color: var(--open); }
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.1rem; margin: 0 0 0.9rem;
}
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.93rem; }
th { text-align: left; font-weight: 500; font-size: 0.85rem; }
td, th {
  padding: 0.5rem 0.9rem 0.5rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere;
}
tbody tr:last-child > * { border-bottom: 0; }
td.figure, th.figure { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.rule { white-space: nowrap; font-weight: 550; }
td p.soft { margin-bottom: 0; }
code { font: 0.85em/1.4 ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
figure { margin: 0; }
figcaption { margin-top: 0.3rem; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .tick { fill: var(--soft); font-size: 11px; }
svg .axis { stroke: var(--soft); stroke-width: 1; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .zero { stroke: var(--soft); stroke-width: 1; }
svg .limit { stroke: var(--fail); stroke-width: 1.2; stroke-dasharray: 4 3; }
svg .harm { fill: var(--harm); }
svg .interval { stroke: var(--new); stroke-width: 2; }
svg .interval.within { stroke: var(--pass); }
svg .interval.across { stroke: var(--open); }
svg .interval.beyond { stroke: var(--fail); }
svg .dot { fill: var(--new); }
svg .dot.within { fill: var(--pass); }
svg .dot.across { fill: var(--open); }
svg .dot.beyond { fill: var(--fail); }
svg .curve { fill: none; stroke-width: 2; }
svg .candidate { stroke: var(--new); }
svg .baseline { stroke: var(--old); stroke-dasharray: 6 3; }
.key {
  display: inline-block; width: 1.6em; height: 0; border-top: 2px solid var(--new); vertical-align: middle;
  margin-right: 0.4em;
}
.key.old { border-top: 2px dashed var(--old); }
details { margin-top: 0.8rem; }
summary { cursor: pointer; color: var(--soft); font-size: 0.9rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.35rem 1.2rem; margin: 0; font-size: 0.9rem; }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; gap: 0.1rem; } dd { margin-bottom: 0.5rem; } }
@media print {
  :root {
    --ground: #ffffff; --card: #ffffff; --ink: #000000; --soft: #4a4f55; --line: #cccccc;
    --pass: #1f7a4d; --fail: #b3352b; --open: #8a6108; --harm: #f6e4e1; --old: #7b8794; --new: #2b5fa8;
  }
  main { max-width: none; padding: 0; }
  .card, figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
