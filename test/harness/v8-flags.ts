// What `src/cli/main.ts` tells V8. Whatever runs under other flags cannot use the code that the programs compiled, nor they
// its own: each start would compile everything anew.

export const v8Flags = [
  '--semi-space-growth-factor=1',
  '--heap-growing-percent=25',
  '--no-parallel-scavenge',
] as const
