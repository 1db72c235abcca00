"""The looks of the page: light and dark, wide and narrow, nothing from elsewhere."""

STYLE = """
:root{--ink:#1c2024;--quiet:#5b646d;--paper:#fdfdfb;--card:#fff;--line:#e3e5e7;--blue:#0068a8;
--green:#00734f;--orange:#b34700;--grey:#5b646d;
--drawn:#0072b2;color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaec;--quiet:#a3acb5;--paper:#14171a;
--card:#1b1f23;--line:#343a40;--blue:#6db9ec;--green:#4fcca3;--orange:#ff9a5c;--grey:#a3acb5;
--drawn:#4aa3df}}
*{box-sizing:border-box}
body{font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif;color:var(--ink);
background:var(--paper);max-width:62rem;margin:0 auto;padding:1.5rem 1.1rem 4rem}
h1{font-size:clamp(1.7rem,4.5vw,2.6rem);line-height:1.15;
letter-spacing:-.02em;margin:.2rem 0 1.2rem}
h2{font-size:1.3rem;line-height:1.3;margin:3rem 0 .6rem}
.over{color:var(--quiet);margin:0}.note,footer{color:var(--quiet);font-size:.9rem}
.answer{font-size:1.1rem;padding-left:1.4rem;margin:0}.answer li{margin:.55rem 0}
.answer li::marker{color:var(--quiet);font-variant-numeric:tabular-nums}
.answer li:first-child{font-weight:650}
a{color:var(--blue);text-decoration:none}a:hover{text-decoration:underline}
section{border-top:1px solid var(--line);margin-top:2.6rem}section h2{margin-top:1.4rem}
.id{color:var(--quiet);font-weight:400;margin-right:.2rem}
.said{border-left:3px solid var(--line);padding-left:.9rem;font-style:italic;margin:.6rem 0}
.pill{display:inline-block;font-size:.78rem;font-weight:600;line-height:1;padding:.28rem .55rem;
border-radius:99px;border:1px solid currentColor;white-space:nowrap;vertical-align:middle}
.supported{color:var(--green)}.refuted{color:var(--orange)}.underpowered{color:var(--blue)}
.unfalsifiable{color:var(--grey)}
.wide{overflow-x:auto;margin:.8rem 0}
table{border-collapse:collapse;font-size:.87rem;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:.42rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:600}thead th{color:var(--quiet);font-weight:500;border-bottom:1px solid var(--quiet)}
th:first-child,td:first-child{text-align:left;padding-left:0}tbody th{font-weight:400}
.verdicts tbody th{white-space:normal;min-width:11rem}
.verdicts thead th{white-space:normal;vertical-align:bottom}
.verdicts th,.verdicts td{padding:.42rem .4rem}
.verdicts td:nth-child(2),.verdicts th:nth-child(2){text-align:left}
.words td{text-align:left;white-space:normal;vertical-align:top}.words th{text-align:left}
.words td:first-child{font-weight:600;white-space:nowrap}
figure{margin:1.2rem 0;overflow-x:auto}
figure svg{display:block;width:100%;min-width:36rem;height:auto}
figure svg text{fill:currentColor}
details{margin:.5rem 0}summary{cursor:pointer;color:var(--blue)}
summary:focus-visible,a:focus-visible,.wide:focus-visible,figure:focus-visible{
outline:2px solid var(--blue);outline-offset:2px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1rem;font-size:.92rem}
dt{color:var(--quiet)}dd{margin:0}ul{padding-left:1.2rem}li{margin:.3rem 0}
code{font-size:.85em}footer{margin-top:3rem;border-top:1px solid var(--line);padding-top:1rem}
@media(max-width:40rem){dl{grid-template-columns:1fr;gap:.1rem}dd{margin-bottom:.5rem}
.answer{font-size:1.02rem}}
@media print{details{display:block}figure svg{min-width:0}}
"""
