// Says a line every 12 seconds about a Go build: its duration and its present work.
// Whole lines without colour or cursor movement read the same in a terminal, a log and CI.
'use strict';

const intervalMs = 12_000;

function formatElapsed(elapsedMs) {
  const seconds = Math.round(elapsedMs / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** `note(line)` takes a line of `go build -v`; `stop()` ends the lines. */
function createProgress(voice, everyMs = intervalMs) {
  const startedAt = Date.now();
  let compiled = 0;
  let doing = 'reading modules';
  const note = (line) => {
    if (line.startsWith('go: downloading ')) doing = `downloading ${line.slice('go: downloading '.length)}`;
    else if (!/\s/.test(line.trim())) {
      compiled += 1;
      doing = `${compiled} packages compiled, last ${line.trim()}`;
    }
  };
  const timer = setInterval(() => voice.sayMore(`${formatElapsed(Date.now() - startedAt)}: ${doing}`), everyMs);
  return { note, stop: () => clearInterval(timer) };
}

module.exports = { createProgress, formatElapsed };
