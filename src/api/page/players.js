// The players of the room, with their state and their buttons.

import { badge, button, facts } from './components.js'
import { el } from './dom.js'
import { count, since, size } from './format.js'
import { graph } from './round-trip-graph.js'

/** @import { PeerStatus } from '../../daemon/agent-schemas.ts' */

/** @type {Record<PeerStatus['state'], readonly ['good' | 'bad' | 'busy' | 'quiet', string]>} */
const states = {
  linked: ['good', 'linked'],
  trying: ['busy', 'trying'],
  failed: ['bad', 'not reached'],
  gone: ['quiet', 'gone'],
  known: ['quiet', 'not tried'],
}

/** @type {Record<string, string>} */
const disconnectReasons = {
  closed: 'You ended the connection.',
  'closed-by-peer': 'The other side left.',
  lost: 'Nothing came any more.',
}

/** @type {Record<string, string>} */
const paths = { lan: 'inside the local network', direct: 'directly over the internet' }

/**
 * @param {PeerStatus} peer
 * @param {boolean} isInRoom whether the agent is in the room
 */
export function player(peer, isInRoom) {
  const { id, name, standing, state, quality } = peer
  const [tone, word] = states[state]
  return el(
    'li',
    { 'data-key': id, class: `player ${state}` },
    el(
      'article',
      { 'aria-labelledby': `player-${id}` },
      el(
        'div',
        { class: 'title' },
        el('h3', { id: `player-${id}` }, name),
        badge(tone, `${word} for ${since(peer.since)}`),
        standing === 'friend' && badge('quiet', 'friend'),
        standing === 'blocked' && badge('bad', 'blocked'),
      ),
      el('p', {}, sentence(peer)),
      peer.advice !== null &&
        el('p', { class: 'advice' }, el('strong', {}, 'What would help: '), peer.advice),
      quality && quality.roundTrips.length > 1 && graph(quality.roundTrips, name),
      quality &&
        facts([
          ['Round trip', quality.roundTripMs === null ? 'not measured yet' : `${quality.roundTripMs} ms`],
          ['Jitter', quality.jitterMs === null ? null : `${quality.jitterMs} ms`],
          ['Lost', quality.lossRate === null ? null : `${Math.round(quality.lossRate * 100)} %`],
          ['Game data', `${size(quality.sent.bytes)} sent, ${size(quality.received.bytes)} received`],
        ]),
      actions(peer, isInRoom),
    ),
  )
}

/** @param {PeerStatus} peer */
function sentence({ state, path, planWords, packets, reason, natWords, sameNat }) {
  const location = sameNat ? 'in the same network' : natWords ? `behind ${natWords}` : ''
  const where = location ? ` It is ${location}.` : ''
  switch (state) {
    case 'linked': {
      const byTcp = path?.protocol === 'tcp' ? ', over TCP, since UDP does not pass' : ''
      const route = path ? (paths[path.kind] ?? path.kind) + byTcp : ''
      const cost = packets === null ? '' : `, found with ${count(packets, 'packet')}`
      return `Connected ${route} (${path?.remote ?? ''})${cost}.${where}`
    }
    case 'trying':
      return `Being tried${planWords ? ` by ${planWords}` : ''}.${where}`
    case 'failed':
      return `${reason ?? 'It could not be reached.'}${where}`
    case 'gone':
      return `${disconnectReasons[reason ?? ''] ?? reason ?? ''}${where}`
    case 'known':
      return `The host named this player; nobody has tried to connect yet.${where}`
  }
}

/**
 * @param {PeerStatus} peer
 * @param {boolean} isInRoom
 */
function actions({ id, name, state, standing }, isInRoom) {
  const isActive = state === 'linked' || state === 'trying'
  const path = `/v1/peers/${id}`
  return el(
    'div',
    { class: 'actions' },
    isInRoom &&
      standing !== 'blocked' &&
      (isActive
        ? button('Disconnect', `POST ${path}/disconnect`, `Disconnect ${name}`)
        : button('Connect', `POST ${path}/connect`, `Connect to ${name}`)),
    standing !== 'blocked' &&
      (standing === 'friend'
        ? button('No friend any more', `DELETE /v1/friends/${id}`, `${name} is no friend any more`)
        : button('Add friend', `PUT /v1/friends/${id}`, `Add ${name} as a friend`)),
    standing === 'blocked'
      ? button('Unblock', `DELETE /v1/blocked/${id}`, `Unblock ${name}`)
      : button('Block', `PUT /v1/blocked/${id}`, `Block ${name}`),
  )
}
