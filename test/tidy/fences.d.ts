// Types of fences.js, which is plain JavaScript because eslint.config.mjs loads it.
export function explainImport(file: string, specifier: string, isTypeOnly: boolean): string | null;
