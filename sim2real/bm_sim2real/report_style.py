"""The look of report.html: one style sheet and one small script, both inline, for light and dark, wide and narrow."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f4f5f7; --card: #fff; --ink: #15181d; --soft: #5c6672; --line: #e2e6eb; --grid: #e9ecf0;
  --robot: #1f6feb; --reference: #8b97a5; --worst: #d9822b;
  --good: #1a7f4b; --good-bg: #e3f4ea; --bad: #c62f3b; --bad-bg: #fde8e9;
  --warn: #96690a; --warn-bg: #fbf1d9; --chip: #eef1f5;
  --shadow: 0 1px 2px rgb(20 30 45/.06), 0 4px 16px rgb(20 30 45/.05);
  --gutter: 56px;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e1116; --card: #171b22; --ink: #e7ebf0; --soft: #98a3b0; --line: #2a313b; --grid: #252b34;
    --robot: #5b9dff; --reference: #7d8997; --worst: #f0a04b;
    --good: #54c98a; --good-bg: #14301f; --bad: #ff7b84; --bad-bg: #3a171b;
    --warn: #e3b448; --warn-bg: #33290f; --chip: #222832; --shadow: none;
  }
}
* { box-sizing: border-box }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100% }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 1160px; margin: 0 auto; padding: 28px 24px 64px }
h1 { font-size: 30px; line-height: 1.2; margin: 2px 0 6px; letter-spacing: -.02em }
h2 { font-size: 19px; margin: 44px 0 12px; letter-spacing: -.01em }
h3 { font-size: 17px; margin: 0; overflow-wrap: anywhere }
p { margin: 0 0 8px }
a { color: inherit; text-decoration-color: var(--reference); text-underline-offset: 3px }
figure { margin: 0 }
.muted, small, th { color: var(--soft) }
.eyebrow { font-size: 12px; font-weight: 600; letter-spacing: .08em; text-transform: uppercase; color: var(--soft) }
.top { display: flex; gap: 12px 20px; justify-content: space-between; align-items: flex-start; flex-wrap: wrap }
.verdict, .pill { display: inline-block; border-radius: 99px; font-weight: 600; white-space: nowrap }
.verdict { padding: 8px 16px }
.pill { padding: 1px 10px; font-size: 13px }
.good { color: var(--good); background: var(--good-bg) }
.bad { color: var(--bad); background: var(--bad-bg) }
.warn { color: var(--warn); background: var(--warn-bg) }
.plain { color: var(--soft); background: var(--chip) }
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px; box-shadow: var(--shadow);
}

.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 12px; margin: 24px 0 12px }
.tile { padding: 14px 16px }
.tile span { font-size: 13px; color: var(--soft) }
.tile b { display: block; font-size: 27px; line-height: 1.25; letter-spacing: -.02em; white-space: nowrap }
.tile b small { font-size: 15px; font-weight: 500; letter-spacing: 0 }
.tile > small { display: block }

.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 12px; margin-top: 12px }
.facts section { padding: 14px 16px }
.facts h2 { margin: 0 0 8px; font-size: 14px }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 14px; margin: 0; font-size: 14px }
dt { color: var(--soft) }
dd { margin: 0; overflow-wrap: anywhere }
.chips { display: flex; flex-wrap: wrap; gap: 6px }
.chips span { background: var(--chip); border-radius: 6px; padding: 1px 8px; font-size: 13px }
.chips small { margin-left: 4px }

.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums }
th { font-weight: 500; font-size: 13px }
th, td { padding: 8px 12px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
tr:last-child td { border-bottom: 0 }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left }
td:first-child { padding-right: 0; width: 34px }
td:nth-child(2) { white-space: normal; overflow-wrap: anywhere; min-width: 120px }
.mark-ok, .mark-bad {
  display: inline-grid; place-items: center; width: 22px; height: 22px; border-radius: 50%;
  font-weight: 700; font-size: 13px;
}
.mark-ok { color: var(--good); background: var(--good-bg) }
.mark-bad { color: var(--bad); background: var(--bad-bg) }
.meter {
  display: inline-block; width: 84px; height: 6px; border-radius: 3px; background: var(--chip);
  margin-left: 10px; vertical-align: 2px;
}
.meter i { display: block; height: 100%; border-radius: 3px; background: var(--robot) }
.meter i.over { background: var(--bad) }

.clip { padding: 18px; margin: 0 0 16px; scroll-margin-top: 12px }
.clip header { display: flex; gap: 8px 12px; flex-wrap: wrap; align-items: center; margin-bottom: 12px }
.numbers { margin-left: auto; font-size: 14px; color: var(--soft); font-variant-numeric: tabular-nums }
.numbers b { color: var(--ink); font-weight: 600 }
.ending { color: var(--bad); margin: -4px 0 12px; overflow-wrap: anywhere }
.columns { display: grid; grid-template-columns: minmax(0, 400px) minmax(0, 1fr); gap: 12px }
video, .film { width: 100%; display: block; border-radius: 8px; background: var(--chip); aspect-ratio: 8/5 }
.nofilm {
  display: grid; place-items: center; color: var(--soft); font-size: 14px; padding: 16px; text-align: center;
}
figcaption { font-size: 13px; color: var(--soft); margin-top: 6px }
.notes { margin-top: 14px }
.notes dl { font-size: 13px }

.stack { position: relative }
.panel { padding-bottom: 12px }
.panel-head {
  display: flex; justify-content: space-between; gap: 2px 14px; flex-wrap: wrap;
  font-size: 13px; margin: 0 0 0 var(--gutter); padding-bottom: 4px;
  position: relative; z-index: 1; background: var(--card);
}
.legend { color: var(--soft); font-size: 12px; white-space: nowrap }
.key {
  display: inline-block; width: 14px; height: 0; border-top: 2px solid; vertical-align: 4px; margin: 0 5px 0 12px;
}
.key.robot { color: var(--robot) }
.key.reference { color: var(--reference) }
.key.worst { color: var(--worst) }
.ramp {
  display: inline-block; width: 48px; height: 9px; border-radius: 3px; margin-right: 6px;
  border: 1px solid var(--line); background: linear-gradient(90deg, rgb(222 82 40/0), rgb(222 82 40));
}
.plot { position: relative; margin-left: var(--gutter); border-bottom: 1px solid var(--line) }
.plot svg { display: block; width: 100%; height: 100%; overflow: hidden }
.plot.tall { height: 84px }
.plot.strip { height: 13px; border: 0; margin-bottom: 3px; background: var(--chip); border-radius: 2px }
.plot.heat { height: 116px; border: 1px solid var(--line); border-radius: 3px }
.plot.heat img { width: 100%; height: 100%; display: block; image-rendering: pixelated }
.plot.histogram { height: 150px; margin-top: 26px }
.cut { position: absolute; left: 0; right: 0; border-top: 1px solid var(--line) }
.line { fill: none; stroke-width: 1.6; vector-effect: non-scaling-stroke; stroke-linejoin: round }
.line.robot { stroke: var(--robot) }
.line.reference { stroke: var(--reference); stroke-width: 2.4 }
.line.worst { stroke: var(--worst); stroke-width: 1.2 }
.grid { stroke: var(--grid); stroke-width: 1; vector-effect: non-scaling-stroke }
.bar, .on-robot { fill: var(--robot) }
.on-reference { fill: var(--reference) }
.tick, .row-label {
  position: absolute; right: 100%; margin-right: 7px; transform: translateY(-50%);
  font-size: 11px; line-height: 1; color: var(--soft); white-space: nowrap;
}
.strip .row-label { top: 50% }
.mark { position: absolute; top: -20px; bottom: 0; border-left: 1px dashed var(--bad) }
.mark b {
  position: absolute; left: 5px; top: 0; font-size: 11px; font-weight: 500; color: var(--bad); white-space: nowrap;
}
.time-axis { position: relative; height: 16px; margin: 3px 0 0 var(--gutter); font-size: 11px; color: var(--soft) }
.time-axis span { position: absolute; transform: translateX(-50%) }
.time-axis em { position: absolute; left: calc(100% - 2px); padding-left: 8px; font-style: normal }
.histogram + .time-axis, .plot.histogram { margin-right: 20px }
.playhead {
  position: absolute; top: 20px; bottom: 16px; width: 0; border-left: 1.5px solid var(--bad);
  pointer-events: none; opacity: 0;
}
.ended {
  position: absolute; top: 20px; bottom: 19px; right: 0; pointer-events: none;
  left: calc(var(--gutter) + (100% - var(--gutter)) * var(--played)); border-left: 1.5px solid var(--bad);
  background: repeating-linear-gradient(135deg, var(--grid) 0 5px, transparent 5px 11px); opacity: .75;
}
footer { margin-top: 40px; font-size: 13px; color: var(--soft) }

@media (max-width: 820px) {
  main { padding: 18px 14px 48px }
  h1 { font-size: 24px }
  .columns { grid-template-columns: minmax(0, 1fr) }
  .clip { padding: 14px }
  .numbers { margin-left: 0; width: 100% }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px }
  .tile { padding: 10px 12px }
  .tile b { font-size: 22px }
  th, td { padding: 7px 8px }
  .wide { display: none }
  .meter { display: none }
  .facts { grid-template-columns: minmax(0, 1fr) }
}
@media print { .card { break-inside: avoid; box-shadow: none } }
"""

SCRIPT = """
// Films play while they are on the screen; a line in the figures shows where they are; a click on a figure goes there.
const seen = new IntersectionObserver(entries => entries.forEach(({isIntersecting, target}) =>
  isIntersecting ? target.play().catch(() => {}) : target.pause()), {threshold: .3});
document.querySelectorAll('.clip').forEach(clip => {
  const film = clip.querySelector('video'), stack = clip.querySelector('.stack');
  if (!film || !stack) return;
  const line = stack.querySelector('.playhead'), plot = stack.querySelector('.plot');
  const start = +film.dataset.start, length = +stack.dataset.seconds;
  if (!matchMedia('(prefers-reduced-motion: reduce)').matches) seen.observe(film);
  const draw = () => {
    line.style.left = plot.offsetLeft + plot.offsetWidth * Math.min(1, (start + film.currentTime) / length) + 'px';
    line.style.opacity = film.currentTime > 0 ? .8 : 0;
    if (!film.paused) requestAnimationFrame(draw);
  };
  film.addEventListener('play', draw);
  film.addEventListener('seeked', draw);
  stack.addEventListener('click', event => {
    const box = plot.getBoundingClientRect();
    const at = (event.clientX - box.left) / box.width * length - start;
    if (at >= 0 && at <= film.duration) film.currentTime = at;
  });
});
"""
