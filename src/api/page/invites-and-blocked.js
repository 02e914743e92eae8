// The invites and the blocked agents on the page of a host, with buttons and forms to change them.

import { button, field, section } from './components.js'
import { el } from './dom.js'
import { amount, count, date } from './format.js'

/** @import { ListedBlock, ListedInvite } from '../../daemon/host-schemas.ts' */
/** @typedef {{ readonly id: string, readonly room: string, readonly invite: string }} Made */
/**
 * @typedef {{
 *   readonly invites: readonly ListedInvite[], readonly inviteTotal: number,
 *   readonly blocked: readonly ListedBlock[], readonly blockedTotal: number,
 *   readonly made: Made | null,
 * }} AdminLists
 */

const states = { open: 'open', ended: 'ended', revoked: 'revoked', 'used-up': 'used up' }
const ends = /** @type {const} */ ([
  ['', 'no end'],
  ['1d', 'in a day'],
  ['7d', 'in a week'],
  ['30d', 'in 30 days'],
])

/**
 * @param {AdminLists} lists
 * @param {readonly string[]} rooms
 */
export function invitesSection({ invites, inviteTotal, made }, rooms) {
  return section(
    'invites',
    'Invites',
    made && madeInvite(made),
    invites.length === 0
      ? el('p', {}, 'None was made yet.')
      : el('ul', { class: 'standings' }, ...invites.map(invited)),
    inviteTotal > invites.length &&
      el('p', { class: 'note' }, `And ${amount(inviteTotal - invites.length)} older ones.`),
    rooms.length > 0 && inviteForm(rooms),
  )
}

/** @param {ListedInvite} invite */
function invited({ id, room, name, state, used, uses, until }) {
  const called = name === '' ? id : `${name} (${id})`
  const by = uses === null ? count(used, 'agent') : `${amount(used)} of ${count(uses, 'agent')}`
  const end = until === null ? '' : `, until ${date(until)}`
  return el(
    'li',
    { 'data-key': `invite ${id}` },
    el('span', {}, `${called} to ${room}: ${states[state]}, ${by} came by it${end}.`),
    state === 'open' && button('Revoke', `DELETE /v1/invites/${id}`, `Revoke ${called}`),
  )
}

/** Shown until the person hides it. @param {Made} made */
function madeInvite({ id, room, invite }) {
  return el(
    'div',
    { class: 'group', 'data-key': `made ${id}` },
    el('h3', {}, `The new invite to ${room}`),
    el('p', {}, 'It is shown this once. Whoever has it can join the room.'),
    el('p', { class: 'secret' }, el('code', {}, invite)),
    button('Copy it', 'copy-made'),
    button('Put it away', 'hide-made'),
  )
}

/** @param {readonly string[]} rooms */
function inviteForm(rooms) {
  return el(
    'form',
    { 'data-action': 'make-invite', 'data-key': 'make-invite', 'aria-labelledby': 'make-invite-title' },
    el('h3', { id: 'make-invite-title' }, 'Make an invite'),
    field('room', 'Room', el('select', {}, ...rooms.map((room) => el('option', { value: room }, room)))),
    field('name', 'Name for the list', el('input', { maxlength: 64, size: 12 })),
    field('until', 'Ends', el('select', {}, ...ends.map(([value, text]) => el('option', { value }, text)))),
    field('uses', 'Agents, at most', el('input', { type: 'number', min: 1, max: 10_000 })),
    el('button', { type: 'submit' }, 'Make it'),
  )
}

/** @param {AdminLists} lists */
export function blockedSection({ blocked, blockedTotal }) {
  return section(
    'blocked',
    'Blocked agents',
    blocked.length === 0
      ? el('p', {}, 'Nobody is blocked here; the config may name some.')
      : el('ul', { class: 'standings' }, ...blocked.map(blockedAgent)),
    blockedTotal > blocked.length &&
      el('p', { class: 'note' }, `And ${amount(blockedTotal - blocked.length)} blocked earlier.`),
    el(
      'form',
      { 'data-action': 'block-agent', 'data-key': 'block-agent', 'aria-labelledby': 'block-agent-title' },
      el('h3', { id: 'block-agent-title' }, 'Block an agent'),
      field('agent', 'User ID, or name', el('input', { required: true, maxlength: 64, size: 16 })),
      el('button', { type: 'submit' }, 'Block'),
    ),
  )
}

/** @param {ListedBlock} block */
function blockedAgent({ id, name, since }) {
  const shown = name === '' ? `${id.slice(0, 8)}…` : `${name} (${id.slice(0, 8)}…)`
  return el(
    'li',
    { 'data-key': `blocked ${id}` },
    el('span', {}, `${shown}, since ${date(since)}`),
    button('Unblock', `DELETE /v1/blocked/${id}`, `Unblock ${shown}`),
  )
}
