"""The page's style: light, dark and print; text contrast of at least 4.5 to 1 (AA) in each."""

from __future__ import annotations

LIGHT = ("#0b6bcb", "#b3411a", "#1d7a3c", "#8b3fb0", "#8a6100", "#0e7a80", "#b0246b", "#5a6472")
DARK = ("#6db3f8", "#f59a72", "#6fd08c", "#d29bf0", "#e3b341", "#5fd0d6", "#f78cc0", "#a9b4c2")

_RULES = """
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:76rem;background:var(--page);color:var(--ink);
 font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans CJK SC",sans-serif}
h1{font-size:1.5rem;margin:0 0 .25rem}
h2{font-size:1.15rem;margin:2.5rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--rule)}
h3{font-size:1rem;margin:1rem 0 .4rem}
.person h3{margin-top:0}
p{margin:.4rem 0}
.note{color:var(--quiet);font-size:.9rem;max-width:60rem}
.verdict{border:1px solid var(--rule);border-left:6px solid var(--quiet);border-radius:6px;padding:1rem;
 background:var(--box)}
.verdict.promote{border-left-color:var(--good)}
.verdict.hold{border-left-color:var(--bad)}
.verdict strong{font-size:1.3rem;display:block}
.verdict p{overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.5rem 1rem;margin:1rem 0 0}
dt{color:var(--quiet);font-size:.85rem}
dd{margin:0;overflow-wrap:anywhere}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.9rem;min-width:100%}
th,td{text-align:left;vertical-align:top;padding:.3rem .75rem .3rem 0;border-bottom:1px solid var(--rule)}
th{color:var(--quiet);font-weight:600;white-space:nowrap}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.wide{min-width:15rem}
td:first-child{min-width:6.5rem}
td:nth-child(2){min-width:4.5rem}
.passed{color:var(--good);font-weight:600}
.failed{color:var(--bad);font-weight:600}
.unsure{color:var(--warn);font-weight:600}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:1.5rem}
figure{margin:0;min-width:0}
figure svg{width:100%;height:auto;max-width:32rem}
svg text{fill:var(--quiet);font:12px system-ui,sans-serif}
svg .end{text-anchor:end}
.grid{stroke:var(--rule);stroke-width:1}
.line{fill:none;stroke-width:2.2}
.dashed{stroke-dasharray:6 4}
.zero{stroke:var(--quiet);stroke-width:1;stroke-dasharray:2 2}
.bar{stroke:var(--ink);stroke-width:2}
.dot{fill:var(--accent)}
.mark{display:block}
.key{display:inline-flex;align-items:center;gap:.35rem;margin-right:1rem;font-size:.85rem}
.people{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,34rem),1fr));gap:1rem}
.person{border:1px solid var(--rule);border-radius:6px;padding:.75rem 1rem;background:var(--box);min-width:0;
 overflow-wrap:anywhere;font-size:.9rem}
.lists{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,13rem),1fr));gap:.25rem 1rem}
.lists h4{font-size:.85rem;margin:.5rem 0 .2rem;color:var(--quiet)}
ol,ul{margin:0;padding-left:1.5rem}
.hit{font-weight:700;color:var(--good)}
.hit::after{content:" ✓"}
@media print{
 body{max-width:none;padding:0;font-size:10pt}
 .scroll{overflow:visible}
 h2,h3{break-after:avoid}
 tr,figure,.person,.verdict{break-inside:avoid}
}
"""


def css() -> str:
    """The whole style sheet. Dark where the reader's system is, never on paper."""
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
