// The server lacks something that the worker needs and cannot make itself: a person has to, so the message says what to run.

export class WorkerSetupError extends Error {
  override readonly name = 'WorkerSetupError';
}
