// npm run simulate -- --lab N --seed S: N schedules on the model and on a lab, one after the other; their ends must agree.

import { parseArgs } from 'node:util';
import { takeDown } from '../../../lab/lab';
import { compareMany, labName } from './compare';

const { values } = parseArgs({
  options: { lab: { type: 'string', default: '1' }, seed: { type: 'string', default: '1' } },
});

async function main(): Promise<void> {
  const differing = await compareMany(Number(values.seed), Number(values.lab));
  if (differing > 0) process.exitCode = 1;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    void takeDown(labName).finally(() => process.exit(130));
  });

void main();
