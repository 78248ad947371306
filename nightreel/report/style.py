"""The reports' style sheet: light, dark and print; text contrast of at least 4.5 to 1 (WCAG AA) in each."""

from __future__ import annotations

LIGHT = ("#0b6bcb", "#b3411a", "#1d7a3c", "#8b3fb0", "#8a6100", "#0e7a80", "#b0246b", "#5a6472")
DARK = ("#6db3f8", "#f59a72", "#6fd08c", "#d29bf0", "#e3b341", "#5fd0d6", "#f78cc0", "#a9b4c2")

_RULES = """
*{box-sizing:border-box}
html{scroll-padding-top:5rem;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);
 font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans CJK SC",sans-serif}
header,main{margin:0 auto;padding:0 1.25rem;max-width:78rem}
header{padding-top:1.75rem;padding-bottom:1.25rem}
main{padding-bottom:4rem}
.kicker{margin:0;color:var(--quiet);font-size:.8rem;font-weight:600;letter-spacing:.08em;text-transform:uppercase}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 1rem;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:1.2rem;line-height:1.3;margin:2.75rem 0 .75rem;letter-spacing:-.005em}
h3{font-size:1rem;margin:1.5rem 0 .5rem}
p{margin:.4rem 0}
nav{position:sticky;top:0;z-index:1;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;background:var(--page);
 padding:.6rem max(1.25rem,calc((100vw - 78rem)/2 + 1.25rem));border-block:1px solid var(--rule);font-size:.85rem}
nav a{white-space:nowrap}
a{color:var(--accent);text-decoration:none}
a:hover,a:focus-visible{text-decoration:underline}
.note{color:var(--quiet);font-size:.875rem;max-width:56rem}
.quiet{color:var(--quiet)}
.verdict{border:1px solid var(--rule);border-top:4px solid var(--quiet);border-radius:8px;padding:1.25rem 1.5rem;
 background:var(--box)}
.verdict.promote{border-top-color:var(--good)}
.verdict.hold{border-top-color:var(--warn)}
.verdict.reject{border-top-color:var(--bad)}
.verdict.promote strong{color:var(--good)}
.verdict.hold strong{color:var(--warn)}
.verdict.reject strong{color:var(--bad)}
.verdict strong{font-size:1.75rem;line-height:1.2;letter-spacing:-.015em;display:block}
.verdict+.verdict{margin-top:.75rem}
.verdict p{overflow-wrap:anywhere;max-width:60rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,13rem),1fr));gap:1px;margin:1.25rem 0;
 background:var(--rule);border:1px solid var(--rule);border-radius:6px;overflow:hidden}
.tiles:empty{display:none}
.tile{background:var(--page);padding:.75rem 1rem;display:flex;flex-direction:column}
.tile b{font-size:1.6rem;line-height:1.25;font-variant-numeric:tabular-nums;letter-spacing:-.01em}
.tile span{font-size:.875rem}
.tile small{color:var(--quiet);font-size:.8rem;font-variant-numeric:tabular-nums}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,8.5rem),1fr));gap:.75rem 1.25rem;
 margin:1rem 0 0}
dt{color:var(--quiet);font-size:.8rem}
dd{margin:0;overflow-wrap:anywhere;font-size:.95rem}
.scroll{overflow-x:auto;background:linear-gradient(90deg,var(--page) 40%,transparent) left/2rem 100% no-repeat local,
 linear-gradient(270deg,var(--page) 40%,transparent) right/2rem 100% no-repeat local,
 linear-gradient(90deg,var(--rule),transparent) left/.75rem 100% no-repeat scroll,
 linear-gradient(270deg,var(--rule),transparent) right/.75rem 100% no-repeat scroll}
.scroll:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
table{border-collapse:collapse;font-size:.875rem;line-height:1.45;min-width:100%}
th,td{text-align:left;vertical-align:top;padding:.4rem 1rem .4rem 0;border-bottom:1px solid var(--rule)}
th{color:var(--quiet);font-weight:600;font-size:.8rem;white-space:nowrap;vertical-align:bottom;
 border-bottom:2px solid var(--rule)}
th:last-child,td:last-child{padding-right:.25rem}
tr:has(+.below)>td{border-bottom:0;padding-bottom:0}
.below div{color:var(--quiet);position:sticky;left:0;max-width:min(60rem,calc(100vw - 2.5rem));overflow-wrap:anywhere}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.wide{min-width:15rem;max-width:44rem}
td:first-child{min-width:9rem}
td:nth-child(2){min-width:4.5rem}
.state{white-space:nowrap}
.passed{color:var(--good);font-weight:600}
.failed{color:var(--bad);font-weight:600}
.unsure{color:var(--warn);font-weight:600}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1rem 2.5rem}
.chart{max-width:36rem}
.charts h3,.chart h3{margin-top:.5rem}
figure{margin:0;min-width:0}
figure svg{width:100%;height:auto;display:block}
figcaption{margin-top:.25rem}
figcaption svg{width:24px;height:12px}
svg text{fill:var(--quiet);font:11.5px system-ui,sans-serif;font-variant-numeric:tabular-nums}
svg .end{text-anchor:end}
.grid{stroke:var(--rule);stroke-width:1}
.line{fill:none;stroke-width:2;stroke-linejoin:round}
.dashed{stroke-dasharray:6 4}
.zero{stroke:var(--quiet);stroke-width:1;stroke-dasharray:2 2}
.bar{stroke:var(--ink);stroke-width:2}
.dot{fill:var(--accent)}
.mark{display:block}
svg .sign{font-size:12px}
svg .sign.good{fill:var(--good)}
svg .sign.bad{fill:var(--bad);font-weight:700}
.own{color:var(--accent)}
.key{display:inline-flex;align-items:center;gap:.35rem;margin-right:1rem;font-size:.8rem;color:var(--ink)}
.people{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,34rem),1fr));gap:1.25rem}
.person{border:1px solid var(--rule);border-radius:8px;padding:1rem 1.25rem;background:var(--box);min-width:0;
 overflow-wrap:anywhere;font-size:.875rem}
.person h3{margin:0 0 .25rem;font-variant-numeric:tabular-nums}
.lists{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,13rem),1fr));gap:.25rem 1.5rem}
.lists h4{font-size:.8rem;margin:.75rem 0 .25rem;color:var(--quiet)}
ol,ul{margin:0;padding-left:1.5rem}
.lists ol{padding-left:1.75rem;font-variant-numeric:tabular-nums}
.lists li{padding:.1rem 0}
.lists .bars{list-style:none;padding:0}
.bars li{display:grid;grid-template-columns:minmax(0,1fr) 3.5rem minmax(3rem,max-content);gap:.5rem;align-items:center}
.figure{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.row{display:inline-flex;gap:.75rem;width:100%;justify-content:space-between;align-items:baseline;vertical-align:top}
.votes{display:flex;gap:1px;flex:none;width:3.5rem;height:8px}
.clouds>div:first-child:nth-last-child(3){grid-column:1/-1}
.bit{display:inline-block;height:100%;min-height:5px;min-width:1px}
.key .bit{width:.9rem;height:9px;flex:none}
.k0{background:var(--accent)}
.k1{background:var(--good)}
.k2{background:var(--warn)}
.less{background:var(--bad)}
.cloud{line-height:1.35;margin:0;display:flex;flex-wrap:wrap;gap:.1rem .6rem;align-items:baseline}
.hit{font-weight:700;color:var(--good)}
.hit::after{content:" ✓"}
@media (max-width:40rem){
 .wide{min-width:12rem}
 .scroll tr>:first-child:not(:has(.wide)){position:sticky;left:0;background:var(--page);max-width:10rem;
  white-space:normal;overflow-wrap:anywhere}
 header,main{padding-left:1rem;padding-right:1rem}
 nav{flex-wrap:nowrap;overflow-x:auto;padding-left:1rem;padding-right:1rem}
 .verdict,.person{padding:.9rem 1rem}
}
@media print{
 @page{margin:14mm}
 body{font-size:10pt}
 header,main{max-width:none;padding:0}
 nav{display:none}
 .scroll{overflow:visible}
 h2,h3{break-after:avoid}
 tr,figure,.person,.verdict,.tile{break-inside:avoid}
 .people{grid-template-columns:1fr 1fr}
 .bit,.tile,.verdict{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
"""


def css() -> str:
    """Return the whole style sheet: dark if the reader's system is dark, always light on paper."""
    light = (
        "--page:#fff;--ink:#1a1f26;--quiet:#555f6d;--rule:#d5dae1;--box:#f6f8fa;--accent:#0b6bcb;--good:#17692f;"
        "--bad:#b3261e;--warn:#7d5700"
    )
    dark = (
        "--page:#13171c;--ink:#e8ecf1;--quiet:#a5b0bd;--rule:#353e49;--box:#1a2027;--accent:#6db3f8;--good:#6fd08c;"
        "--bad:#ff9b93;--warn:#e3b341"
    )
    inks = [f":root{{{light};color-scheme:light dark}}", *_lines(LIGHT)]
    inks.append(f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}{''.join(_lines(DARK))}}}")
    return "".join(inks) + _RULES


def _lines(colours: tuple[str, ...]) -> list[str]:
    return [f".c{number}{{stroke:{colour}}}" for number, colour in enumerate(colours)]
