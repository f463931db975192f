// spellHost: an address is a node's when both names lead to the same address and the port is the node's.

import { spellHost } from '../../../../activities/io/sql/node-address';
import { makeConfiguration } from '../../../domain/builders';

const configuration = makeConfiguration({ nodes: { 1: { host: 'localhost' }, 2: { host: '127.0.0.1', port: 5433 } } });

test.each([
  ['as the cluster file spells it', '10.0.0.10', 5432, '10.0.0.10'],
  ['by another name', '127.0.0.1', 5432, 'localhost'],
  ['by another name, port unknown', 'localhost', null, 'localhost'],
  ['another port', '127.0.0.1', 9999, '127.0.0.1'],
  ['nobody’s', '127.9.9.9', 5432, '127.9.9.9'],
  ['a name that does not resolve', 'no such host', 5432, 'no such host'],
  ['a directory of sockets', '/var/run/postgresql', 5432, '/var/run/postgresql'],
])('%s', async (_, host, port, expected) => {
  await expect(spellHost(configuration, host, port)).resolves.toBe(expected);
});
