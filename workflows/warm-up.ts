// Does nothing: the first workflow of a fresh worker is 100 ms slower, and that must not be a failover.

export async function warmUp(): Promise<void> {
  await Promise.resolve();
}
