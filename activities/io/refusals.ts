// The pace after a refusal: a refused key or password does not change by itself.

/** First and later pauses: fail2ban locks out a client that fails five times in ten minutes. */
const [firstPauseMs, laterPauseMs] = [30_000, 300_000];

/** @param times refusals in a row; @returns milliseconds for which nothing is asked, 0 without a refusal */
export function refusalPauseMs(times: number): number {
  if (times === 0) return 0;
  return times > 1 ? laterPauseMs : firstPauseMs;
}
