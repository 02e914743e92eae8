// The events of agents and hosts in the library. They are those that `--json` prints, each under its own name.

import type { EventEmitter } from 'node:events'
import type { PeerName, AgentEvent as RunningAgentEvent } from '../agent/events.ts'
import type { HostEvent as RunningHostEvent } from '../host/events.ts'
import type { Peer } from './peer.ts'

/** In events about a player, `peer` is a Peer object, whether it is connected or not. */
type WithPeer<Event> = Event extends { readonly peer: PeerName }
  ? Omit<Event, 'peer'> & { readonly peer: Peer }
  : Event

export type AgentEvent = WithPeer<RunningAgentEvent>

export type HostEvent =
  | RunningHostEvent
  /** A message for a person. */
  | { readonly event: 'notice'; readonly notice: string }

type ByName<Event extends { readonly event: string }> = {
  [Name in Event['event']]: [Extract<Event, { readonly event: Name }>]
} & {
  /** Every event, after the listeners by name were called. */
  event: [Event]
}

export type AgentEvents = ByName<AgentEvent>
export type HostEvents = ByName<HostEvent>

/** An error of a caller's handler becomes an uncaught exception. It must neither interrupt our code nor be lost. */
export function callSafely(call: () => unknown): void {
  try {
    call()
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown
    })
  }
}

export function emitBoth<Event extends { readonly event: string }>(
  emitter: EventEmitter,
  event: Event,
): void {
  callSafely(() => emitter.emit(event.event, event))
  callSafely(() => emitter.emit('event', event))
}
