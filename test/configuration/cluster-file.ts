// A small valid cluster file for tests, and a way to change one line of it.

/** Line numbers matter: tests name them. */
export const clusterFile = `cluster: shop
nodes:
  - { id: 0, host: 10.0.0.10, dataDirectory: /srv/main }
  - { id: 1, host: 10.0.0.11, dataDirectory: /srv/main }
  - { id: 2, host: 10.0.0.12, dataDirectory: /srv/main }
postgres:
  bin: /usr/lib/postgresql/15/bin
pgpool:
  - { name: pgpool0, host: 127.0.0.1 }
`;

/** Replaces `from`, which must occur: a typo here must not turn a test into one that cannot fail. */
export function edit(text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new RangeError(`the text does not contain ${from}`);
  return text.replace(from, () => to);
}
