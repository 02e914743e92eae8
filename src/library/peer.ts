// Another player in the room.

import type { Duplex } from 'node:stream'
import type { Agent } from '../agent/agent.ts'
import { utf8 } from '../base/bytes.ts'
import { Problem } from '../base/problem.ts'
import { checkServiceName } from '../forward/named-services.ts'
import { maxChannelBytes } from '../forward/udp/named-channel-frame.ts'

/** The functions of the agent that a Peer uses. Null while the agent is not in the room. */
export type PeerAgent = () => Pick<Agent, 'forwarder' | 'report'> | null

/** Created by the agent. A program may keep it: it is the same player after a connection was lost and opened again. */
export class Peer {
  /** The player's public key, in 52 letters. It is the same as long as the player keeps the key. */
  readonly id: string
  /** The player's name. Other players may have the same. */
  readonly name: string
  readonly #agent: PeerAgent

  /** @internal */
  constructor(id: string, name: string, agent: PeerAgent) {
    this.id = id
    this.name = name
    this.#agent = agent
  }

  /**
   * Sends a datagram to a channel that the player's program has opened with `onDatagram`. It may be lost or late, but is
   * never delivered twice or changed. There is no acknowledgement. Up to 1,100 bytes fit in one packet on any path; larger
   * datagrams are split.
   *
   * @param channel 1 to 32 of `a-z`, `A-Z`, `0-9`, dot, dash, underscore
   * @param bytes at most 65,000; text is sent as UTF-8. The caller may change them afterwards.
   * @returns false when the player is not connected
   * @throws Problem `usage` for a bad name or too many bytes
   */
  send(channel: string, bytes: Uint8Array | string): boolean {
    checkServiceName(channel)
    const payload = typeof bytes === 'string' ? utf8(bytes) : bytes
    if (payload.length > maxChannelBytes) {
      throw new Problem(
        'usage',
        `A datagram of ${payload.length} bytes is too large for a channel.`,
        `Send at most ${maxChannelBytes}, or open a stream.`,
      )
    }
    return this.#agent()?.forwarder.sendTo(this.id, channel, payload) ?? false
  }

  /**
   * Opens a stream to a name that the player's program accepts with `onStream`. It is reliable and in order, with
   * back-pressure and half-close. When the connection ends, or the other side destroys its end, the stream closes without
   * `end`; then `pipeline`, `finished` and `for await` reject. It emits no `error`.
   *
   * Rejects with a Problem `peer` when the player is not connected, accepts no such streams, does not answer within 15 s, or
   * has too many (128) already. Rejects with `usage` for a bad name.
   *
   * @param name 1 to 32 of `a-z`, `A-Z`, `0-9`, dot, dash, underscore
   */
  async openStream(name: string): Promise<Duplex> {
    checkServiceName(name)
    const agent = this.#agent()
    if (!agent) throw new Problem('peer', 'The agent is not in the room.', 'Start it first.')
    return agent.forwarder.openStream(this.id, name)
  }

  /** The smoothed round trip time in ms. Null while not connected or not measured. */
  get roundTripMs(): number | null {
    const known = this.#agent()?.report.peers.find(({ peer }) => peer.id === this.id)
    return known?.quality?.roundTripMs ?? null
  }
}
