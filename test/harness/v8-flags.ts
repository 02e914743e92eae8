// The V8 flags of `src/cli/main.ts`. Code compiled under other flags is not shared: each program would then
// compile everything anew at each start.

export const v8Flags = [
  '--semi-space-growth-factor=1',
  '--heap-growing-percent=25',
  '--no-parallel-scavenge',
] as const
