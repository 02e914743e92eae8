// The ports of games: local ports that players may reach, and local ports that lead to players. A form opens more.

import { button, field, section } from './components.js'
import { el } from './dom.js'

/** @import { AgentStatus, PeerStatus } from '../../daemon/agent-schemas.ts' */

/**
 * @param {AgentStatus} status
 * @param {readonly PeerStatus[]} peers
 */
export function portsSection({ exposes, forwards, state }, peers) {
  return section(
    'ports',
    'Ports of games',
    exposes.length + forwards.length === 0 && el('p', {}, 'None is open, and none leads to a player.'),
    el(
      'ul',
      { class: 'ports' },
      ...exposes.map((text) => el('li', { 'data-key': `expose ${text}` }, el('span', {}, exposed(text)))),
      ...forwards.map((text) => forwarded(text, peers)),
    ),
    state === 'joined' && form(peers),
  )
}

/** @param {string} text `udp:7777`, or `udp:7777=friends` */
function exposed(text) {
  const [, protocol = '', port = '', friends] = /^(udp|tcp):(\d+)(=friends)?$/.exec(text) ?? []
  return `${protocol.toUpperCase()} port ${port} here is open to ${friends ? 'friends' : 'the room'}.`
}

/**
 * @param {string} text `udp:7000=anna:7777`
 * @param {readonly PeerStatus[]} peers
 */
function forwarded(text, peers) {
  const [, protocol = '', local = '', name = '', port = ''] = /^(udp|tcp):(\d+)=(.+):(\d+)$/.exec(text) ?? []
  const isLinked = peers.some((peer) => peer.name === name && peer.state === 'linked')
  const words = `${protocol.toUpperCase()} port ${local} here leads to ${name}\u2019s port ${port}`
  return el(
    'li',
    { 'data-key': `forward ${text}` },
    el('span', {}, isLinked ? `${words}.` : `${words}, as soon as ${name} is linked.`),
    button(
      'Close',
      `DELETE /v1/forwards/${protocol}:${local}`,
      `Close ${protocol.toUpperCase()} port ${local}`,
    ),
  )
}

/** @param {readonly PeerStatus[]} peers */
function form(peers) {
  const names = [...new Set(peers.map(({ name }) => name))].sort((a, b) => a.localeCompare(b))
  return el(
    'form',
    { 'data-action': 'add-forward', 'data-key': 'add-forward', 'aria-labelledby': 'add-forward-title' },
    el('h3', { id: 'add-forward-title' }, 'Let a port here lead to a player'),
    field(
      'protocol',
      'Protocol',
      el('select', {}, el('option', { value: 'udp' }, 'UDP'), el('option', { value: 'tcp' }, 'TCP')),
    ),
    field('local', 'Port here', portInput()),
    field('nick', 'Player', el('input', { required: true, maxlength: 64, list: 'known-players', size: 12 })),
    field('port', 'Port there', portInput()),
    el('datalist', { id: 'known-players' }, ...names.map((name) => el('option', { value: name }))),
    el('button', { type: 'submit' }, 'Open'),
  )
}

function portInput() {
  return el('input', { type: 'number', required: true, min: 1, max: 65535 })
}
