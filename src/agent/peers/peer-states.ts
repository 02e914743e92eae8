// Who is known to be in the room, in which state each is and since when: from letters and from the agent's events.

import { toHex } from '../../base/bytes.ts'
import type { NatProfile } from '../../base/nat-profile.ts'
import type { OfferedPeer, UserId } from '../../letter/letter-types.ts'
import { readUserId } from '../../letter/user-id.ts'
import type { AgentEvent, PathReport, PeerName } from '../events.ts'

type PeerState =
  /** Named by the host, and not tried. */
  | { readonly state: 'known' }
  | { readonly state: 'trying'; readonly plan: string }
  | {
      readonly state: 'linked'
      readonly path: PathReport
      readonly plan: string
      /** Sent by us until the path was found. */
      readonly packets: number
      readonly sincePunchMs: number
    }
  | { readonly state: 'failed'; readonly reason: string; readonly advice: string | null }
  /** Was linked. */
  | { readonly state: 'gone'; readonly reason: string }

export type PeerStateEntry = {
  readonly id: UserId
  readonly peer: PeerName
  /** Null while the peer is known only from a failed or lost connection. */
  readonly nat: NatProfile | null
  readonly sameNat: boolean
  /** Somebody failed to reach it lately. */
  readonly flagged: boolean
  /** Monotonic: when it last asked, by the host's word; null if unknown. */
  readonly askedAt: number | null
  /** Monotonic: since when it is in this state. */
  readonly stateAt: number
  readonly state: PeerState
}

/** Peers remembered; beyond it whoever was named longest ago goes, linked ones last. */
export const mostKnown = 256

export class PeerStates {
  /** By user ID in hex; whoever was named or changed last is last. */
  readonly #entries = new Map<string, PeerStateEntry>()

  offered(peers: readonly OfferedPeer[], peerName: (peer: OfferedPeer) => PeerName, now: number): void {
    for (const offered of peers) {
      const before = this.#entries.get(toHex(offered.id))
      this.#put({
        id: offered.id,
        peer: peerName(offered),
        nat: offered.nat,
        sameNat: offered.sameNat,
        flagged: offered.flagged,
        askedAt: now - offered.ageMs,
        stateAt: before?.stateAt ?? now,
        state: before?.state ?? { state: 'known' },
      })
    }
  }

  handle(event: AgentEvent, now: number): void {
    switch (event.event) {
      case 'punching': {
        const isLinked = this.#find(event.peer)?.state.state === 'linked'
        // A newer session of somebody linked is tried beside the link.
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

  /** We stopped trying, of which there is no event. */
  giveUp(id: UserId, now: number): void {
    const entry = this.#entries.get(toHex(id))
    if (entry?.state.state === 'trying') this.#put({ ...entry, stateAt: now, state: { state: 'known' } })
  }

  /** Whoever was named or changed last is first. */
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
      ...(before ?? { id, nat: null, sameNat: false, flagged: false, askedAt: null }),
      peer,
      stateAt: before && isSame ? before.stateAt : now,
      state,
    })
  }

  #put(entry: PeerStateEntry): void {
    const key = toHex(entry.id)
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    if (this.#entries.size <= mostKnown) return
    const spare = [...this.#entries].find(([other, { state }]) => other !== key && state.state !== 'linked')
    this.#entries.delete(spare ? spare[0] : (this.#entries.keys().next().value ?? key))
  }
}
