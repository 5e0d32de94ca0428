// The style sheet of the report: paper and ink, serif for headings, sans for the rest; light and dark.

import { paletteCss } from './palette.js';

const lightScheme = `--paper:#fdfcf9;--card:#f5f3ed;--ink:#1d1f24;--quiet:#5f646e;--axis:#b9b5aa;--grid:#e9e6de;${paletteCss('light')}`;
const darkScheme = `--paper:#15171b;--card:#1d2025;--ink:#eceae4;--quiet:#a2a6ae;--axis:#50545c;--grid:#2a2d33;${paletteCss('dark')}`;

/** The style sheet of the page. */
export const reportCss = `
:root{color-scheme:light dark;${lightScheme}}
@media screen and (prefers-color-scheme:dark){:root{${darkScheme}}}
*{box-sizing:border-box}
body{margin:0 auto;padding:3.5rem clamp(1rem,4vw,3rem) 4rem;max-width:74rem;background:var(--paper);color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-variant-numeric:tabular-nums;
  -webkit-text-size-adjust:100%}
h1,h2{font-family:Charter,'Bitstream Charter','Sitka Text',Cambria,Georgia,'DejaVu Serif',serif;font-weight:600;text-wrap:balance;overflow-wrap:anywhere}
h1{margin:0;font-size:1.2rem;letter-spacing:.01em}
h2{margin:.35rem 0 1rem;font-size:clamp(1.6rem,1.1rem + 2.2vw,2.5rem);line-height:1.18;max-width:24em;letter-spacing:-.012em}
h3{margin:3rem 0 1rem;font-size:.8rem;font-weight:650;letter-spacing:.09em;text-transform:uppercase;color:var(--quiet)}
header{display:flex;flex-wrap:wrap;gap:.4rem 2rem;justify-content:space-between;align-items:baseline;padding-bottom:.9rem;border-bottom:2px solid var(--ink)}
nav ol{display:flex;overflow-wrap:anywhere;flex-wrap:wrap;gap:.2rem 1.4rem;margin:0;padding:0;list-style:none;font-size:.9rem}
a{color:inherit;text-decoration-color:var(--axis);text-underline-offset:.2em}a:hover{text-decoration-color:currentColor}
section{padding-top:3rem}section+section{margin-top:4.5rem;border-top:1px solid var(--axis)}
.setting{margin:0;overflow-wrap:anywhere;color:var(--quiet);font-size:.95rem}.setting strong{color:var(--ink);font-weight:600}
.findings{margin:0 0 2rem;padding:0;list-style:none;max-width:46em;color:var(--quiet);overflow-wrap:anywhere}
.findings li{margin:.25rem 0}.findings li:first-child{color:var(--ink);font-size:1.08rem}
.note{margin:.5rem 0;color:var(--quiet);font-size:.85rem}
.scroll{overflow-x:auto;-webkit-overflow-scrolling:touch}
table{border-collapse:collapse}
.summary{width:100%;font-size:.92rem}
.summary th,.summary td{padding:.5rem 0 .5rem 1.1rem;text-align:right;white-space:nowrap}
.summary thead th{vertical-align:bottom;white-space:normal;min-width:4.6em;font-size:.78rem;font-weight:500;line-height:1.3;color:var(--quiet);border-bottom:1px solid var(--axis)}
.summary tbody tr+tr>*{border-top:1px solid var(--grid)}
.summary tbody th{max-width:13rem;min-width:6.5rem;white-space:normal;overflow-wrap:break-word}
.summary th:first-child{text-align:left;padding-left:0;font-weight:600;position:sticky;left:0;background:var(--paper)}
.summary tbody th:first-child{padding-left:1.25rem}.summary .chip{position:absolute;left:0;top:.8rem}
.summary th small{display:block;font-weight:400;font-size:.78rem;line-height:1.35;color:var(--quiet);overflow-wrap:anywhere}
.summary .best,.summary .warning{font-weight:700}.summary .warning{color:var(--ink-0)}.summary td:not(.best,.warning){color:var(--quiet)}
.chip{display:inline-block;width:.85em;height:.85em;margin-right:.35em;vertical-align:-.05em;overflow:visible}
:focus-visible{outline:2px solid var(--ink-1);outline-offset:2px;border-radius:2px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,27rem),1fr));gap:2rem 2.5rem}
.charts.small{grid-template-columns:repeat(auto-fill,minmax(min(100%,19rem),1fr))}.charts.small .chart{max-width:26rem}
.chart{margin:0;min-width:0}
.chart figcaption{margin-bottom:.35rem;font-weight:600}.chart small,.gallery small{font-size:.85rem;font-weight:400;color:var(--quiet)}
.key{display:flex;flex-wrap:wrap;gap:0 1.1rem;font-size:.85rem;font-weight:400;color:var(--quiet)}
.key i{display:inline-block;width:1.7em;margin-right:.45em;vertical-align:.28em;border-top:2px solid}.key .test{border-top:1.5px dashed}
.key .guide{border-top:1.5px dotted}.names{display:none;flex-wrap:wrap;gap:0 1.1rem;flex-basis:100%;color:var(--ink)}
.chart>svg{display:block;width:100%;height:auto;overflow:visible}
.chart>svg.narrow{display:none}
svg text{font-family:inherit}.raw{stroke-width:1;stroke-opacity:.25}.lead{fill:none;stroke-opacity:.6;stroke-dasharray:1 3}
.mark{stroke-width:1.2}.dots{stroke-width:4;stroke-linecap:round;stroke-opacity:.45}
.numbers{grid-column:1/-1;font-size:.9rem}.charts>.numbers{margin-top:-1rem}.numbers summary{color:var(--quiet)}
.numbers td,.numbers th+th{text-align:right}.numbers table{margin-top:.5rem}
.bars{width:100%;font-size:.92rem}
.bars th{font-weight:500;text-align:left;padding:.28rem .9rem .28rem 0;white-space:nowrap}
.bars td:last-child{text-align:right;padding-left:.9rem;white-space:nowrap}
.bars th.long{max-width:11rem;white-space:normal;overflow-wrap:anywhere}.bars .track{width:100%}.bars .track div{position:relative;height:1.05rem}
.bars b{display:block;height:100%;min-width:2px;border-radius:2px}
.whisker{position:absolute;top:50%;height:2px;margin-top:-1px;background:var(--ink)}
.whisker::before,.whisker::after{content:'';position:absolute;top:-3px;height:8px;width:2px;background:var(--ink)}
.whisker::before{left:-1px}.whisker::after{right:-1px}
img{image-rendering:pixelated;display:block;width:100%;height:auto;border-radius:3px;background:var(--card)}
.gallery{display:grid;gap:6px}
.row{display:grid;grid-template-columns:6.5rem 1fr;align-items:center;gap:.6rem;font-size:.92rem}
.row>span{font-weight:600;overflow-wrap:anywhere}
.row>div{display:grid;grid-template-columns:repeat(var(--pictures),minmax(0,5rem));gap:6px}
details{border-top:1px solid var(--grid);padding:.7rem 0}summary{cursor:pointer}
.confusion{display:grid;grid-template-columns:minmax(0,auto) minmax(14rem,1fr);gap:2.5rem;margin-top:.8rem;align-items:start}
caption{caption-side:bottom;text-align:left;color:var(--quiet);font-size:.85rem;padding-top:.5rem}
.matrix{font-size:.8rem;line-height:1}
.matrix th{padding:.4rem .5rem;font-weight:600;color:var(--quiet)}
.matrix tbody td{min-width:2.7rem;height:2.2rem;padding:0 .3rem;text-align:center;border:2px solid var(--paper);border-radius:4px;background:var(--card)}
.matrix .right{background:color-mix(in srgb,var(--ink) var(--strength),var(--card))}
.matrix .wrong{background:color-mix(in srgb,var(--ink-0) var(--strength),var(--card))}
.list{font-size:.9rem}.list th,.list td{padding:.25rem 1.2rem .25rem 0;text-align:left}.list thead th{color:var(--quiet);font-weight:500}
.mistakes>div{display:grid;grid-template-columns:repeat(auto-fill,minmax(4.6rem,1fr));gap:.8rem .6rem}
.mistakes figure{margin:0}.mistakes figcaption{font-size:.82rem;font-weight:600;margin-top:.2rem;overflow-wrap:anywhere}
.mistakes span{color:var(--ink-0)}.mistakes .note{margin-top:0}.mistakes small{font-weight:400;color:var(--quiet);white-space:nowrap}
.worst{margin-top:.8rem}
.part{padding-top:0}.part+.part{margin-top:3rem}.part>.charts{margin-bottom:1.5rem}.part .note{max-width:52em}
.study{margin:0 0 1.8rem}.study figcaption{margin-bottom:.4rem;font-weight:600;font-size:.92rem;overflow-wrap:anywhere}
.study tbody th:first-child{padding-left:0;max-width:18rem}
.study td.heat{background:color-mix(in srgb,var(--ink-1) var(--strength),var(--paper));color:var(--ink);padding-right:.6rem}
.layers{margin:0;min-width:0}.layers figcaption{margin-bottom:.4rem;font-weight:600}.layers small{font-weight:400;color:var(--quiet)}
.layers table{width:100%;font-size:.85rem}.layers th{padding:0 .9rem 0 0;text-align:left;font-weight:400;white-space:nowrap;width:1%}
.layers td{padding:1px 0;width:auto}.layers td:last-child{padding-left:.9rem;white-space:nowrap;text-align:right;width:1%;color:var(--quiet)}
.strip{display:block;width:100%;min-width:8rem;height:1.2rem;fill:var(--ink-1);background:var(--card)}
.shades{display:flex;gap:.5rem;align-items:center;font-size:.8rem;font-weight:400;color:var(--quiet)}.shades .strip{height:.6rem;width:8rem}
.steps td{color:var(--quiet);font-size:.8rem}.steps td:nth-child(2){display:flex;justify-content:space-between}
footer{margin-top:4.5rem;border-top:2px solid var(--ink)}footer h3{margin-top:1.5rem}
pre{margin:0;padding:.9rem 1.1rem;background:var(--card);border-radius:6px;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
code span{display:inline-block}
code{font:.88rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;user-select:all;-webkit-user-select:all}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(12rem,1fr));gap:1rem 2rem;margin:1.5rem 0 0}
dt{color:var(--quiet);font-size:.82rem}dd{margin:0;overflow-wrap:anywhere}
@media (max-width:40rem){
  body{padding-top:1.5rem}section{padding-top:2rem}h3{margin-top:2.2rem}
  .chart>svg.wide{display:none}.chart>svg.narrow{display:block}.names{display:flex}
  .row{grid-template-columns:1fr;gap:.15rem}.row>div{gap:3px}
  .confusion{grid-template-columns:minmax(0,1fr)}
  .matrix tbody td{min-width:1.9rem;height:1.9rem;padding:0;font-size:.72rem}.matrix th{padding:.25rem}
}
@media print{
  body{max-width:none;padding:0;font-size:11pt;print-color-adjust:exact;-webkit-print-color-adjust:exact}
  figure,.row,tr,pre{break-inside:avoid}h2,h3{break-after:avoid}section+section{break-before:page}.part+.part{break-before:auto}
  .scroll{overflow:visible}nav,.numbers{display:none}
  details::details-content{content-visibility:visible;display:block;height:auto}summary{list-style:none}
}
`;
