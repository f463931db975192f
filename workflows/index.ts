// Everything that the worker's bundle contains. Workflow types are these names.

export { cluster } from './cluster';
export { follow } from './follow';
export { incident } from './incident';
export { look } from './look';
export { plan } from './plan';
export { warmUp } from './warm-up';
