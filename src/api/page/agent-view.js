// The page of an agent.

import { badge, button, column, events, facts, mailboxBadge, section } from './components.js'
import { el } from './dom.js'
import { clock, count, since } from './format.js'
import { player } from './players.js'
import { portsSection } from './ports.js'

/** @import { AgentStatus, PeerStatus } from '../../daemon/agent-schemas.ts' */
/** @import { ShownEvent } from './components.js' */
/** @typedef {{ readonly id: string, readonly name: string | null }} Listed */
/** @typedef {{ readonly friends: readonly Listed[], readonly blocked: readonly Listed[] }} Standings */

/** @param {AgentStatus} status */
export function agentHeader({ name, room, state, since: at, hasInvite }) {
  const isInRoom = state === 'joined' || state === 'starting'
  const tone = state === 'joined' ? 'good' : state === 'left' ? 'quiet' : 'busy'
  return [
    el('div', {}, el('h1', {}, `${name} in the room ${room}`), badge(tone, `${state} for ${since(at)}`)),
    el(
      'div',
      { class: 'actions' },
      isInRoom
        ? button('Leave the room', 'POST /v1/room/leave')
        : button('Join the room', 'POST /v1/room/join'),
      state === 'joined' && button('Ask the host again', 'POST /v1/room/join'),
      hasInvite && button('Copy the invite', 'copy-invite'),
    ),
  ]
}

/**
 * @param {AgentStatus} status
 * @param {readonly PeerStatus[]} peers
 * @param {Standings} standings
 * @param {readonly ShownEvent[]} shownEvents
 */
export function agentView(status, peers, standings, shownEvents) {
  return [
    status.trouble !== null &&
      el(
        'p',
        { class: 'trouble', role: 'alert', 'data-key': 'trouble' },
        `${status.trouble.message} ${status.trouble.remedy}`,
      ),
    playersSection(status, peers),
    standingsSection(standings, peers),
    networkSection(status),
    column('rest', mailSection(status), portsSection(status, peers), events(shownEvents)),
  ]
}

/**
 * @param {AgentStatus} status
 * @param {readonly PeerStatus[]} peers
 */
function playersSection({ lastReply, declined, state }, peers) {
  // Sorted by name, so that no player moves while a person points at a button.
  const sorted = [...peers].sort((a, b) => a.name.localeCompare(b.name) || a.id.localeCompare(b.id))
  const nobody =
    state === 'left'
      ? 'You are not in the room.'
      : declined
        ? declined.words
        : lastReply
          ? 'Nobody else is in the room. Whoever comes will be introduced.'
          : 'The host has not answered yet.'
  return section(
    'players',
    'Players',
    sorted.length === 0
      ? el('p', {}, nobody)
      : el('ul', { class: 'players' }, ...sorted.map((peer) => player(peer, state === 'joined'))),
  )
}

/** @param {AgentStatus} status */
function networkSection({ nat, state }) {
  const unknown = state === 'left' ? 'It is looked at when you join the room.' : 'Being looked at.'
  return section(
    'network',
    'Your network',
    ...(nat === null ? [el('p', {}, unknown)] : paragraphsOf(nat.words)),
  )
}

/**
 * Builds paragraphs. Lines that begin with two spaces are list items of the line before.
 * @param {readonly string[]} words
 */
function paragraphsOf(words) {
  /** @type {{ text: string, items: string[] }[]} */
  const paragraphs = []
  for (const text of words) {
    if (text.startsWith('  ')) paragraphs.at(-1)?.items.push(text.replace(/^[\s-]+/, ''))
    else paragraphs.push({ text, items: [] })
  }
  return paragraphs.map(({ text, items }, index) =>
    items.length === 0
      ? el('p', { class: index === 0 ? 'lead' : null }, text)
      : el(
          'div',
          { class: 'group' },
          el('h3', {}, text.replace(/:$/, '')),
          el('ul', {}, ...items.map((item) => el('li', {}, item))),
        ),
  )
}

/** @param {AgentStatus} status */
function mailSection({ id, mailbox, lastRequest, lastReply, declined }) {
  return section(
    'mail',
    'You and the host',
    facts([
      ['Your user ID', el('code', {}, id)],
      ['Mailbox', mailboxBadge(mailbox)],
      ['Asked', lastRequest ? `${since(lastRequest.at)} ago` : 'not yet'],
      [
        'Answered',
        lastReply
          ? `${since(lastReply.at)} ago, after ${(lastReply.sinceRequestMs / 1000).toFixed(2)} s, naming ${count(lastReply.peers, 'player')}`
          : 'not yet',
      ],
      [
        'Declined',
        declined &&
          `${since(declined.at)} ago. ${declined.words} Asking again at ${clock(declined.againAt)}.`,
      ],
    ]),
  )
}

/**
 * Lists only those who are not among the players, as players have these buttons already.
 * @param {Standings} standings
 * @param {readonly PeerStatus[]} peers
 */
function standingsSection({ friends, blocked }, peers) {
  const known = new Set(peers.map(({ id }) => id))
  /** @param {readonly Listed[]} listed */
  const away = (listed) => listed.filter(({ id }) => !known.has(id))
  const [awayFriends, awayBlocked] = [away(friends), away(blocked)]
  if (awayFriends.length + awayBlocked.length === 0) return null
  return section(
    'standings',
    'Friends and blocked players who are away',
    el(
      'ul',
      { class: 'standings' },
      ...awayFriends.map(({ id, name }) =>
        standingItem(id, name, 'friend', button('No friend any more', `DELETE /v1/friends/${id}`)),
      ),
      ...awayBlocked.map(({ id, name }) =>
        standingItem(id, name, 'blocked', button('Unblock', `DELETE /v1/blocked/${id}`)),
      ),
    ),
  )
}

/**
 * @param {string} id
 * @param {string | null} name
 * @param {string} standing
 * @param {HTMLElement} action
 */
function standingItem(id, name, standing, action) {
  const shown = name ?? `${id.slice(0, 8)}…`
  action.setAttribute('aria-label', `${action.textContent}: ${shown}`)
  return el('li', { 'data-key': id }, el('span', {}, `${shown} (${standing})`), action)
}
