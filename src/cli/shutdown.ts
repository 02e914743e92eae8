// Running until told to stop: SIGTERM and SIGINT end a command cleanly, a second one at once.

export type Lifetime = {
  /** Resolves with the first SIGTERM or SIGINT, or when `stop` is called; a second signal exits at once. */
  readonly stopped: Promise<void>
  readonly stop: () => void
}

export function untilStopped(): Lifetime {
  let stop = (): void => {}
  const stopped = new Promise<void>((resolve) => {
    stop = resolve
  })
  let signals = 0
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      signals += 1
      if (signals > 1) process.exit(1)
      stop()
    })
  }
  return { stopped, stop }
}
