"""The page's style sheet: inline, so that the page needs nothing from elsewhere."""

CSS = """
:root { --ink: #1d2733; --quiet: #5b6876; --line: #d9dfe5; --ground: #f5f7f9; --card: #fff; --link: #0b5cad; }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); }
header { background: #12324f; color: #fff; padding: 1rem 1.5rem; }
header h1 { margin: 0; font-size: 1.4rem; }
header p { margin: .2rem 0 0; opacity: .9; }
header a { color: #cfe5fa; }
main { max-width: 70rem; margin: 0 auto; padding: 0 1.5rem 3rem; }
h2 { margin: 1.8rem 0 .6rem; font-size: 1.15rem; }
h3 { margin: 0; font-size: 1.05rem; }
h4 { margin: .9rem 0 0; font-size: .95rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.2rem; }
section + section { margin-top: .8rem; }
p { margin: .3rem 0; }
a { color: var(--link); }
.quiet { color: var(--quiet); font-weight: 400; font-size: .9rem; }
.refusal { color: #8f2d18; background: #fdf0ec; border-radius: 6px; padding: .5rem .8rem; }
.state { font-size: .78rem; font-weight: 600; padding: 0 .5rem; border-radius: 99px; display: inline-block; }
.running { background: #dff3e4; color: #14592a; }
.moving, .paused { background: #fff0cc; color: #6b4b00; }
.failed, .unreachable { background: #fbdcd5; color: #8f2d18; }
.stopped, .unknown { background: #e6eaee; color: #46525e; }
.grid { overflow-x: auto; margin-top: .5rem; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-size: .8rem; color: var(--quiet); font-weight: 600; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child td { border-bottom: 0; }
code { font: .85rem/1.4 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
form { display: flex; flex-wrap: wrap; gap: .8rem; align-items: end; margin-bottom: .6rem; }
label { font-size: .85rem; color: var(--quiet); display: grid; gap: .2rem; }
input, select, button { font: inherit; padding: .35rem .6rem; border: 1px solid #b5bfc9; border-radius: 6px; }
input { min-width: 14rem; max-width: 100%; }
input[type=checkbox] { min-width: 0; justify-self: start; }
button { background: #12324f; color: #fff; border-color: #12324f; cursor: pointer; }
progress { width: 6rem; vertical-align: middle; }
"""
