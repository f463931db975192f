// A rule about which files must exist beside which: tests of activities.
// It takes the list of all paths and returns sentences that start with the path at fault.

const verb = /^activities\/(?!io\/)([a-z0-9-]+\/[a-z0-9-]+)\.ts$/;

export function checkActivityTests(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    const name = verb.exec(path)?.[1];
    if (!name) return [];
    const test = `test/activities/${name}.test.ts`;
    return paths.includes(test) ? [] : [`${path}: has no ${test}`];
  });
}
