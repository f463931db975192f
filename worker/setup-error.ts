// The server lacks something that the worker cannot make: the message says what a person must run.

export class WorkerSetupError extends Error {
  override readonly name = 'WorkerSetupError';
}
