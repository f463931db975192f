// The lab's network: finds listeners, and (as root) drops all packets from and to a node's address, so that timeouts
// are real.
// Our rules are in one chain per lab, which removeRules deletes whole.
import { readLocalSockets, type Layout, type NodeLayout } from './layout';
import { run, runOrFail } from './processes';

/** True when a socket listens on exactly this IPv4 address and port: asks the kernel, without connecting. */
export function isListening(host: string, port: number): boolean {
  return readLocalSockets().some((socket) => socket.isListening && socket.host === host && socket.port === port);
}

const chainOf = (layout: Layout): string => `pgpool-runbook-${layout.slot}`;
const hooks = ['INPUT', 'OUTPUT'] as const;
const root = { name: 'root', uid: 0, gid: 0, home: '/root' };

const iptables = (...argv: string[]): Promise<string> => runOrFail('iptables', ['-w', '5', ...argv], { user: root });
const succeeds = async (...argv: string[]): Promise<boolean> =>
  (await run('iptables', ['-w', '5', ...argv], { user: root })).code === 0;

/** Drops every packet from and to the node's address; open connections stay open and hear nothing. */
export async function dropPackets(layout: Layout, node: NodeLayout): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new Error('only root can drop packets (iptables): run this as root, or freeze the node instead');
  }
  const chain = chainOf(layout);
  if (!(await succeeds('-n', '-L', chain))) await iptables('-N', chain);
  for (const hook of hooks) if (!(await succeeds('-C', hook, '-j', chain))) await iptables('-I', hook, '-j', chain);
  for (const side of ['-s', '-d']) {
    if (!(await succeeds('-C', chain, side, node.host, '-j', 'DROP'))) {
      await iptables('-A', chain, side, node.host, '-j', 'DROP');
    }
  }
}

/** Lets the node's packets through again; nothing happens when they were not dropped. */
export async function passPackets(layout: Layout, node: NodeLayout): Promise<void> {
  for (const side of ['-s', '-d']) {
    while (await succeeds('-D', chainOf(layout), side, node.host, '-j', 'DROP'));
  }
}

/** Removes every rule of this lab, and nothing else. */
export async function removeRules(layout: Layout): Promise<void> {
  const chain = chainOf(layout);
  for (const hook of hooks) while (await succeeds('-D', hook, '-j', chain));
  if (await succeeds('-F', chain)) await iptables('-X', chain);
}
