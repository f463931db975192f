// The one parser of what a script answers: whole or cut, refused or failed, with keys that come twice and values of any bytes.
import { type Answer, exitStatuses, parseAnswer, parseJobAnswer, Values } from '../../../../activities/io/host/answer';

const parse = (exitCode: number | null, stdout: string, stderr = ''): string => {
  const answer: Answer = parseAnswer({ exitCode, stdout, stderr });
  return answer.kind === 'done' ? 'done' : `${answer.kind}: ${answer.sentence}`;
};

it.each([
  ['is whole', 0, 'a=b\nanswer=done\n', '', 'done'],
  ['has no other line', 0, 'answer=done\n', '', 'done'],
  ['was cut off', 0, 'a=b\n', '', 'unknown: its answer was cut off'],
  ['was cut off in its last line', 0, 'a=b\nanswer=done', '', 'unknown: its answer was cut off'],
  ['was longer than is kept', 0, 'a=b\nanswer=done\n\n[truncated: …]\n', '', 'unknown: its answer was cut off'],
  ['only looks whole', 0, 'a=answer=done\n', '', 'unknown: its answer was cut off'],
  ['dropped', null, 'answer=done\n', '[ssh a: the connection was lost]\n', 'unknown: [ssh a: the connection was lost]'],
  ['dropped without a word', null, '', '', 'unknown: no exit status'],
  ['is refused', exitStatuses.refused, 'refused=not so\n', 'noise', 'refused: not so'],
  ['is wrong', exitStatuses.misconfigured, 'wrong=correct it\n', '', 'wrong: correct it'],
  ['has no room for its lock', exitStatuses.lockFailed, 'wrong=no room\n', '', 'wrong: no room'],
  ['found the lock held', exitStatuses.lockHeld, 'holder=x\nclosed=held by x\n', '', 'closed: held by x'],
  ['came late', exitStatuses.tooLate, 'closed=late\n', '', 'closed: late'],
  ['has a program’s status', exitStatuses.refused, 'a=b\n', 'cp: no\n', 'failed: cp: no'],
  ['failed', 1, 'refused=no\n', 'one\ntwo\nthree\nfour\n', 'failed: two / three / four'],
  ['failed without a word', 9, '', '', 'failed: exit status 9'],
])('an answer that %s', (_title, exitCode, stdout, stderr, wanted) => {
  expect(parse(exitCode, stdout, stderr)).toBe(wanted);
});

it('keeps what was found out before a refusal', () => {
  const { values } = parseAnswer({ exitCode: 1, stdout: 'names=a\n', stderr: '' });
  expect(values.get('names')).toBe('a');
});

it('reads a job’s log, in which both come together', () => {
  const log = 'progress=1 of 2\ncp: no room\ncannot copy it\n';
  expect(parseJobAnswer(1, log)).toMatchObject({ kind: 'failed', sentence: 'cp: no room / cannot copy it' });
  expect(parseJobAnswer(0, 'noise\nkept=a\nanswer=done\n').values.get('kept')).toBe('a');
});

describe('values', () => {
  const values = new Values('a=1\nb=\na=2=3\nA=x\nno line\nc_one=1\nc_two=2\nc_one=3\nd=yes\ne=4oKs\n');

  it('the last of a key counts, unless all are asked for', () => {
    expect([values.get('a'), values.get('b'), values.get('c')]).toEqual(['2=3', '', undefined]);
    expect([values.all('a'), values.all('none')]).toEqual([['1', '2=3'], []]);
  });

  it('are text, yes or no, bytes, or many that begin alike', () => {
    expect([values.flag('d'), values.flag('a'), values.flag('none')]).toEqual([true, false, null]);
    expect([values.bytes('e')?.toString(), values.bytes('none')]).toEqual(['€', undefined]);
    expect([...values.startingWith('c_')]).toEqual([
      ['one', '3'],
      ['two', '2'],
    ]);
  });
});
