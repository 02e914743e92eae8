// The metrics of an agent, and whether it is ready. Metrics name no player, as they are sent to other computers.

import { Problem } from '../base/problem.ts'
import type { AgentStatus, PeerStatus } from './agent-schemas.ts'
import { gauge, type Metric } from './metrics.ts'

/** Returns why the agent is not ready, or null when it is. */
export function agentUnready({ state, mailbox, trouble }: AgentStatus): Problem | null {
  const remedy = '`peerpost status` shows more, and `peerpost doctor` finds what is wrong.'
  if (state !== 'joined') {
    return new Problem('not-ready', trouble?.message ?? `The agent is not in the room (${state}).`, remedy)
  }
  if (mailbox.state === 'connected') return null
  return new Problem('not-ready', `The mailbox is not connected: ${mailbox.reason ?? mailbox.state}`, remedy)
}

const peerStates: readonly PeerStatus['state'][] = ['linked', 'trying', 'known', 'failed', 'gone']

export function agentMetrics(status: AgentStatus, peers: readonly PeerStatus[]): readonly Metric[] {
  const { mailbox, lastReply, forwards, exposes } = status
  const links = peers.filter(({ state }) => state === 'linked')
  const times = links.flatMap(({ quality }) =>
    quality?.roundTripMs == null ? [] : [quality.roundTripMs / 1e3],
  )
  return [
    {
      name: 'peerpost_peers',
      type: 'gauge',
      help: 'Players that the agent knows of, by how they are reached.',
      samples: peerStates.map((state) => ({
        labels: { state },
        value: peers.filter((peer) => peer.state === state).length,
      })),
    },
    gauge(
      'peerpost_link_round_trip_seconds_max',
      'The longest round trip of all links.',
      Math.max(0, ...times),
    ),
    gauge('peerpost_forwards', 'Local ports that lead to players.', forwards.length),
    gauge('peerpost_exposes', 'Local ports that players may reach.', exposes.length),
    gauge(
      'peerpost_mailbox_connected',
      'Whether the mailbox is connected.',
      mailbox.state === 'connected' ? 1 : 0,
    ),
    gauge(
      'peerpost_last_reply_timestamp_seconds',
      'When the host last answered, in Unix time.',
      lastReply && Date.parse(lastReply.at) / 1e3,
    ),
  ]
}
