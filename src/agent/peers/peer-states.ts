// The known peers of the room, the state of each and since when. Updated from letters and from the agent's events.

import { toHex } from '../../base/bytes.ts'
import type { NatProfile } from '../../base/nat-profile.ts'
import type { OfferedPeer, UserId } from '../../letter/letter-types.ts'
import { readUserId } from '../../letter/user-id.ts'
import type { AgentEvent, PathReport, PeerName } from '../events.ts'

type PeerState =
  /** A host offered it. It is not being tried. */
  | { readonly state: 'known' }
  | { readonly state: 'trying'; readonly plan: string }
  | {
      readonly state: 'linked'
      readonly path: PathReport
      readonly plan: string
      /** Packets that we sent until the path was found. */
      readonly packets: number
      readonly sincePunchMs: number
    }
  | { readonly state: 'failed'; readonly reason: string; readonly advice: string | null }
  /** It was linked before. */
  | { readonly state: 'gone'; readonly reason: string }

export type PeerStateEntry = {
  readonly id: UserId
  readonly peer: PeerName
  /** Null when no letter has contained the peer yet. */
  readonly nat: NatProfile | null
  readonly sameNat: boolean
  /** Another agent has recently failed to reach it. */
  readonly flagged: boolean
  /** When the peer sent its last request, as the host told us (monotonic). Null if unknown. */
  readonly requestedAt: number | null
  /** When the peer entered this state (monotonic). */
  readonly stateAt: number
  readonly state: PeerState
}

/** When full, the peer that was updated longest ago is forgotten. Linked peers go last. */
export const maxPeers = 256

export class PeerStates {
  /** By user ID in hex. The peer that was updated last is last. */
  readonly #entries = new Map<string, PeerStateEntry>()

  noteOffered(peers: readonly OfferedPeer[], nameOf: (peer: OfferedPeer) => PeerName, now: number): void {
    for (const noteOffered of peers) {
      const before = this.#entries.get(toHex(noteOffered.id))
      this.#put({
        id: noteOffered.id,
        peer: nameOf(noteOffered),
        nat: noteOffered.nat,
        sameNat: noteOffered.sameNat,
        flagged: noteOffered.flagged,
        requestedAt: now - noteOffered.ageMs,
        stateAt: before?.stateAt ?? now,
        state: before?.state ?? { state: 'known' },
      })
    }
  }

  handle(event: AgentEvent, now: number): void {
    switch (event.event) {
      case 'punching': {
        const isLinked = this.#find(event.peer)?.state.state === 'linked'
        // A newer session of a linked peer is tried while the link stays open.
        if (!isLinked) this.#change(event.peer, now, { state: 'trying', plan: event.plan })
        return
      }
      case 'connected': {
        const { path, plan, packets, sincePunchMs } = event
        this.#change(event.peer, now, { state: 'linked', path, plan, packets, sincePunchMs })
        return
      }
      case 'path': {
        const state = this.#find(event.peer)?.state
        if (state?.state === 'linked') this.#change(event.peer, now, { ...state, path: event.path })
        return
      }
      case 'failed': {
        const { reason, advice = null } = event
        this.#change(event.peer, now, { state: 'failed', reason, advice })
        return
      }
      case 'disconnected':
        this.#change(event.peer, now, { state: 'gone', reason: event.reason })
        return
      default:
        return
    }
  }

  /** The user stopped the attempt. That emits no event. */
  noteAttemptStopped(id: UserId, now: number): void {
    const entry = this.#entries.get(toHex(id))
    if (entry?.state.state === 'trying') this.#put({ ...entry, stateAt: now, state: { state: 'known' } })
  }

  /** The peer that was updated last is first. */
  get entries(): readonly PeerStateEntry[] {
    return [...this.#entries.values()].reverse()
  }

  #find(peer: PeerName): PeerStateEntry | null {
    const id = readUserId(peer.id)
    return id ? (this.#entries.get(toHex(id)) ?? null) : null
  }

  #change(peer: PeerName, now: number, state: PeerState): void {
    const id = readUserId(peer.id)
    if (!id) return
    const before = this.#entries.get(toHex(id))
    const isSame = before?.state.state === state.state
    this.#put({
      ...(before ?? { id, nat: null, sameNat: false, flagged: false, requestedAt: null }),
      peer,
      stateAt: before && isSame ? before.stateAt : now,
      state,
    })
  }

  #put(entry: PeerStateEntry): void {
    const key = toHex(entry.id)
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    if (this.#entries.size <= maxPeers) return
    const removable = [...this.#entries].find(
      ([other, { state }]) => other !== key && state.state !== 'linked',
    )
    this.#entries.delete(removable ? removable[0] : (this.#entries.keys().next().value ?? key))
  }
}
