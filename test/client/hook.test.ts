// hook.sh against a fake Temporal HTTP API: which requests it makes, and what it makes of the answers to its wait.
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {
  type Answer,
  Bench,
  closeEvent,
  type FakeTemporal,
  closedPort,
  lastEventId,
  notFound,
  settled,
  shells,
  started,
  startTemporal,
  unsettled,
} from './hook-support';

const workflow = '/api/v1/namespaces/default/workflows/pgpool-shop';
const promoted = 'node 1 is the primary since 08:15:02';

describe.each(shells)('hook.sh under %s', (shell) => {
  let temporal: FakeTemporal;
  let bench: Bench;
  beforeEach(async () => {
    temporal = await startTemporal();
    bench = new Bench(shell);
    bench.configure(temporal.port);
  });
  afterEach(async () => {
    await temporal.close();
    await bench.remove();
  });

  it('opens or joins the incident with one POST that carries the whole event', async () => {
    const before = Date.now();
    const { code, stdout, stderr } = await bench.run(['failover', '2', '0', '0']);
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: 'pgpool-runbook: failover, node 2: reported to pgpool-shop\n',
      stderr: '',
    });
    expect(temporal.received).toHaveLength(1);
    const [request] = temporal.received;
    expect(request?.path).toBe(`${workflow}/signal-with-start/event`);
    expect(request?.headers['content-type']).toBe('application/json');
    const event = temporal.events()[0] as { eventId: string; at: string };
    expect(event.eventId).toMatch(/^failover-2-\d{8}T\d{6}-\d+-[0-9a-f]{8}$/);
    expect(Date.parse(event.at)).toBeGreaterThanOrEqual(before - 1);
    expect(Date.parse(event.at)).toBeLessThanOrEqual(Date.now());
    expect(request?.body).toEqual({
      workflowType: { name: 'incident' },
      taskQueue: { name: 'pgpool-runbook' },
      input: ['shop'],
      signalInput: [{ eventId: event.eventId, kind: 'failover', node: 2, mainNode: 0, oldPrimary: 0, at: event.at }],
      requestId: event.eventId,
      identity: `pgpool@${os.hostname()}`,
      workflowTaskTimeout: '2s',
      workflowIdReusePolicy: 'WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE',
      workflowIdConflictPolicy: 'WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING',
      userMetadata: { summary: 'shop: pgpool reports node 2 down' },
    });
    expect(bench.spooled()).toEqual([]);
  });

  it.each([
    ['pgpool 4.3 pastes plain ids', ['follow', '2', '1', '0'], [2, 1, 0]],
    ['pgpool 4.4 pastes a leading blank', ['follow', ' 2', ' 1', ' 0'], [2, 1, 0]],
    ['a missing node is an empty argument', ['follow', '2', '', '0'], [2, null, 0]],
    ['-1 is no node', ['follow', '2', '-1', ' -1'], [2, null, null]],
    ['127 is the largest id', ['follow', '127', '126', '99'], [127, 126, 99]],
  ])('reads the arguments: %s', async (_story, args, [node, mainNode, oldPrimary]) => {
    expect(await bench.run(args)).toMatchObject({ code: 0 });
    expect(temporal.events()).toEqual([expect.objectContaining({ kind: 'follow', node, mainNode, oldPrimary })]);
  });

  it('gives every invocation its own id, even in the same second', async () => {
    await Promise.all([1, 2, 3].map(() => bench.run(['follow', '2', '1', '0'])));
    const ids = temporal.events().map((event) => (event as { eventId: string }).eventId);
    expect(new Set(ids).size).toBe(3);
  });

  it('waits for the incident when the primary failed, and prints its sentence', async () => {
    temporal.answers.update = [settled('completed', promoted)];
    expect(await bench.run(['failover', '0', '1', '0'])).toMatchObject({
      code: 0,
      stdout: `pgpool-runbook: ${promoted}\n`,
    });
    const [signal, update] = temporal.received;
    const { requestId, identity } = signal?.body as { requestId: string; identity: string };
    expect(update).toMatchObject({ method: 'POST', path: `${workflow}/update/settled` });
    expect(update?.body).toEqual({
      workflowExecution: { workflowId: 'pgpool-shop', runId: 'run-1' },
      waitPolicy: { lifecycleStage: 'UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED' },
      request: { meta: { updateId: requestId, identity }, input: { args: [requestId] } },
    });
  });

  it.each([
    ['failover', '0', '1', '-1', 1],
    ['failover', '0', '1', '', 1],
    ['failover', '0', '1', '2', 0],
    ['follow', '0', '1', '0', 0],
    ['follow', '0', '1', '-1', 0],
  ])('%s %s %s "%s" waits for %i update', async (kind, failed, main, primary, updates) => {
    temporal.answers.update = [settled('completed', promoted)];
    expect(await bench.run([kind, failed, main, primary])).toMatchObject({ code: 0 });
    expect(temporal.received).toHaveLength(1 + updates);
  });

  const verdict = { eventId: lastEventId, line: promoted, outcome: 'completed', reason: 'why' };
  const other = { ...verdict, eventId: 'follow-2-x', line: 'of another event' };
  const nested = { events: [other, verdict, other], follows: [{ outcome: 'refused', line: 'nested' }], line: 'run' };
  const spaced = `{"updateRef": {}, "outcome": {"success": [{"line": "${promoted}", "outcome": "completed"}]}}`;
  const failure = {
    status: 200,
    body: { outcome: { failure: { cause: { message: 'inner' }, message: 'is parked' } } },
  };
  const stories: [string, Answer[], Answer[], number, string][] = [
    ['an incomplete outcome is done', [settled('incomplete', promoted)], [], 0, promoted],
    ['a refused outcome is not', [settled('refused', 'node 0 works')], [], 1, 'node 0 works'],
    ['an outcome without a sentence names itself', [settled('completed', '')], [], 0, 'completed'],
    ['blanks in the JSON change nothing', [{ status: 200, body: spaced }], [], 0, promoted],
    ['escapes are text', [settled('completed', 'a "b" \\ c/é\n\td\u0007')], [], 0, 'a "b" \\ c/é  d?'],
    [
      'a sentence that quotes JSON is a sentence',
      [settled('refused', '","outcome":"completed"')],
      [],
      1,
      '","outcome":"completed"',
    ],
    ['200 without an outcome is asked again', [unsettled, unsettled, settled('completed', promoted)], [], 0, promoted],
    ['outcome.failure ends the wait', [failure], [], 1, 'pgpool-shop did not settle this event: is parked'],
    [
      '409, 429, 503 and a cut connection are tried again',
      [
        { status: 409, body: {} },
        { status: 429, body: {} },
        { status: 503, body: 'x' },
        'reset',
        settled('completed', promoted),
      ],
      [],
      0,
      promoted,
    ],
    ['a closed run is read from its close event', [notFound], [closeEvent('COMPLETED', nested)], 0, promoted],
    [
      'a closed run that refused',
      [notFound],
      [closeEvent('COMPLETED', { events: [{ ...verdict, line: 'no', outcome: 'refused' }], outcome: 'completed' })],
      1,
      'no',
    ],
    ['a run that nobody knows is no answer', [notFound, settled('completed', promoted)], [notFound], 0, promoted],
  ];
  it.each(stories)('%s', async (_story, update, history, code, line) => {
    temporal.answers.update = update;
    if (history.length > 0) temporal.answers.history = history;
    expect(await bench.run(['failover', '0', '1', '0'])).toMatchObject({
      code,
      stdout: `pgpool-runbook: ${line}\n`,
      stderr: '',
    });
    const ids = temporal.received
      .filter((request) => request.path.endsWith('/update/settled'))
      .map((request) => (request.body as { request: { meta: { updateId: string } } }).request.meta.updateId);
    expect(new Set(ids)).toEqual(new Set([(temporal.events()[0] as { eventId: string }).eventId]));
  });

  const failedUpdate = {
    status: 200,
    body: { outcome: { failure: { message: 'the Workflow completed before the Update completed' } } },
  };
  it.each<[string, Answer, Answer]>([
    ['was terminated', notFound, closeEvent('TERMINATED')],
    ['failed, because a new version cannot replay it', failedUpdate, closeEvent('FAILED')],
    ['completed without having seen it', notFound, closeEvent('COMPLETED', { events: [other], outcome: 'completed' })],
  ])('sends the event again, to the next run, when its run %s', async (_story, update, history) => {
    temporal.answers.signal = [started, { status: 200, body: { runId: 'run-2', started: true } }];
    temporal.answers.update = [update, settled('completed', promoted)];
    temporal.answers.history = [history];
    expect(await bench.run(['failover', '0', '1', '0'])).toMatchObject({
      code: 0,
      stdout: `pgpool-runbook: ${promoted}\n`,
    });
    const [first, again] = temporal.events();
    expect(again).toEqual(first);
    expect(temporal.received.at(-1)?.body).toMatchObject({ workflowExecution: { runId: 'run-2' } });
    expect(bench.spooled()).toEqual([]);
  });

  it('does not open runs without end where every one of them ends without an answer', async () => {
    temporal.answers.update = [notFound];
    temporal.answers.history = [closeEvent('FAILED')];
    expect(await bench.run(['failover', '0', '1', '0'])).toMatchObject({
      code: 1,
      stdout: 'pgpool-runbook: pgpool-shop ended (FAILED) without an answer; see it in Temporal Web\n',
    });
    expect(temporal.events()).toHaveLength(5);
    expect(bench.spooled()).toEqual([expect.stringMatching(/\.open$/)]);
  });

  it('asks for the close event of the very run that took the event', async () => {
    temporal.answers.update = [notFound];
    temporal.answers.history = [closeEvent('COMPLETED', nested)];
    await bench.run(['failover', '0', '1', '0']);
    expect(temporal.received[2]).toMatchObject({
      method: 'GET',
      path: `${workflow}/history?execution.runId=run-1&historyEventFilterType=2`,
    });
  });

  it.each<[string, Answer]>([
    ['the server hangs', 'hang'],
    ['the server only ever says 503', { status: 503, body: {} }],
    ['no worker settles it', unsettled],
  ])('stops waiting after WAIT_SECONDS when %s', async (_story, answer) => {
    bench.configure(temporal.port, { WAIT_SECONDS: '1' });
    temporal.answers.update = [answer];
    const { code, stdout, durationMs } = await bench.run(['failover', '0', '1', '0']);
    expect(code).toBe(4);
    expect(stdout).toMatch(/^pgpool-runbook: failover, node 0: accepted by pgpool-shop, not settled in 1 s.*\n$/);
    expect(durationMs).toBeLessThan(5000);
    // The answer is still wanted.
    expect(bench.spooled()).toEqual([expect.stringMatching(/^failover-0-.*\.open$/)]);
  });

  it('keeps asking until the deadline when Temporal goes away during the wait', async () => {
    bench.configure(temporal.port, { WAIT_SECONDS: '20' });
    temporal.answers.update = ['reset'];
    const run = bench.run(['failover', '0', '1', '0']);
    const { received, port } = temporal;
    while (received.length < 3) await new Promise(setImmediate);
    await temporal.close();
    temporal = await startTemporal(port);
    temporal.answers.update = [settled('completed', promoted)];
    expect(await run).toMatchObject({ code: 0, stdout: `pgpool-runbook: ${promoted}\n` });
  });

  it('sends what a curl options file says, and no proxy variable of pgpool gets in the way', async () => {
    const options = path.join(bench.directory, 'curl options');
    fs.writeFileSync(options, 'header = "Authorization: Bearer token"\n');
    bench.configure(temporal.port, { CURL_OPTIONS_FILE: options });
    const environment = { http_proxy: `http://127.0.0.1:${closedPort}` };
    expect(await bench.run(['follow', '2', '1', '0'], { environment })).toMatchObject({ code: 0 });
    expect(temporal.received[0]?.headers.authorization).toBe('Bearer token');
  });

  it('waits for the current run when the answer to the event has no run id', async () => {
    temporal.answers.signal = [{ status: 200, body: {} }];
    temporal.answers.update = [settled('completed', promoted)];
    expect(await bench.run(['failover', '0', '1', '0'])).toMatchObject({ code: 0 });
    expect(temporal.received[1]?.body).toMatchObject({ workflowExecution: { runId: '' } });
  });
});
