// Ends a command on SIGTERM or SIGINT.

export type Shutdown = {
  /** Resolves at the first SIGTERM or SIGINT, or when `stop` is called. A second signal exits at once. */
  readonly stopped: Promise<void>
  readonly stop: () => void
}

export function untilStopped(): Shutdown {
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
