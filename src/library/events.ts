// What agents and hosts of the library tell: the events of the command line's `--json`, each under its own name.

import type { EventEmitter } from 'node:events'
import type { PeerName, AgentEvent as PlainAgentEvent } from '../agent/events.ts'
import type { HostEvent as PlainHostEvent } from '../host/events.ts'
import type { Peer } from './peer.ts'

/** Where an event speaks of a player, `peer` is the Peer, whether linked or not. */
type WithPeer<Event> = Event extends { readonly peer: PeerName }
  ? Omit<Event, 'peer'> & { readonly peer: Peer }
  : Event

export type AgentEvent = WithPeer<PlainAgentEvent>

export type HostEvent =
  | PlainHostEvent
  /** Something a person may want to know. */
  | { readonly event: 'notice'; readonly notice: string }

type ByName<Event extends { readonly event: string }> = {
  [Name in Event['event']]: [Extract<Event, { readonly event: Name }>]
} & {
  /** Every event, after those who listen to it by its name. */
  event: [Event]
}

export type AgentEvents = ByName<AgentEvent>
export type HostEvents = ByName<HostEvent>

/** What the caller's handlers throw is the caller's: it must not stop us between two steps, nor be lost. */
export function callSafely(call: () => unknown): void {
  try {
    call()
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown
    })
  }
}

export function emitBoth<Told extends { readonly event: string }>(emitter: EventEmitter, told: Told): void {
  callSafely(() => emitter.emit(told.event, told))
  callSafely(() => emitter.emit('event', told))
}
