// The contract of every protocol machine (prober, punch, link). A machine does no IO: it is told what
// happened and when, and answers with what to do. Its owner performs the actions in order, and calls
// `handleTimeout` when `nextTimeout` falls due. A new machine is due at once: its first `handleTimeout` starts it.

import type { Endpoint } from './endpoint.ts'

export type SendAction = { readonly type: 'send'; readonly to: Endpoint; readonly bytes: Uint8Array }

export type Action<Event> = SendAction | { readonly type: 'event'; readonly event: Event }

export interface Machine<Event> {
  /** What arrived from the network, genuine or not. `now` is monotonic milliseconds, as everywhere here. */
  handleDatagram(now: number, bytes: Uint8Array, from: Endpoint): Action<Event>[]
  /** Harmless when nothing is due. */
  handleTimeout(now: number): Action<Event>[]
  /** When `handleTimeout` is wanted next; null when never. May change after any call. */
  nextTimeout(): number | null
}
