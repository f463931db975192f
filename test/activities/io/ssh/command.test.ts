// The output of a running command before it has ended, over a real sshd.
import { SshConnections } from '../../../../activities/io/ssh/ssh';
import { startSshd, waitUntil } from './sshd';

it('tells its output as it comes, whole characters only and without what the login shell printed', async () => {
  const sshd = await startSshd();
  const connections = new SshConnections();
  try {
    const pieces: string[] = [];
    const controller = new AbortController();
    const euro = [...Buffer.from('€')].map((byte) => `\\${byte.toString(8)}`);
    const script = `printf 'first\\n${euro[0]!}'; sleep 0.2; printf '${euro.slice(1).join('')}\\n'; sleep 300`;
    const running = connections.run(sshd.target, script, {
      timeoutMs: 60_000,
      signal: controller.signal,
      onOutput: (text) => pieces.push(text),
    });
    await waitUntil('the script has said all', () => pieces.join('') === 'first\n€\n');
    expect(pieces.length).toBeGreaterThan(1);
    controller.abort(new Error('heard enough'));
    await expect(running).rejects.toThrow('heard enough');
  } finally {
    await connections.close();
    await sshd.stop();
  }
});
