// The page of a host.

import { badge, column, events, facts, mailboxBadge, section } from './components.js'
import { el } from './dom.js'
import { amount, since } from './format.js'
import { blockedSection, invitesSection } from './invites-and-blocked.js'

/** @import { HostStatus } from '../../daemon/host-schemas.ts' */
/** @import { AdminLists } from './invites-and-blocked.js' */
/** @import { ShownEvent } from './components.js' */

/** @param {HostStatus} status */
export function hostHeader({ address, state, since: at }) {
  return [
    el(
      'div',
      {},
      el('h1', {}, `Host at ${address}`),
      badge(state === 'ready' ? 'good' : 'busy', `${state} for ${since(at)}`),
    ),
  ]
}

/**
 * @param {HostStatus} status
 * @param {AdminLists} lists
 * @param {readonly ShownEvent[]} shownEvents
 */
export function hostView(status, lists, shownEvents) {
  const { rooms, mailbox, budgets, letters, mails, waitingIntroductions, trouble } = status
  return [
    trouble !== null &&
      el(
        'p',
        { class: 'trouble', role: 'alert', 'data-key': 'trouble' },
        `${since(trouble.at)} ago: ${trouble.message} ${trouble.remedy}`,
      ),
    column(
      'state',
      section(
        'mail',
        'Mail',
        facts([
          ['Mailbox', mailboxBadge(mailbox)],
          ['Rooms', rooms.join(', ')],
          ['Introductions', `${amount(waitingIntroductions)} to be made`],
        ]),
      ),
      section(
        'budgets',
        'How full it is',
        gauge('table', 'Agents in the table', budgets.table, 'Newer agents push the oldest out.'),
        gauge(
          'outbox',
          'Mails waiting to be sent',
          budgets.outbox,
          'When it is full, letters wait in the mailbox.',
        ),
        budgets.sentInDay.limit !== null &&
          gauge(
            'sent-in-day',
            'Mails sent in a day',
            { used: budgets.sentInDay.used, limit: budgets.sentInDay.limit },
            'From three quarters on no introductions are sent; when it is full, replies wait.',
          ),
        gauge('letter-ids', 'Letters remembered', budgets.letterIds, 'So that a second copy has no effect.'),
      ),
    ),
    column(
      'counts',
      section(
        'letters',
        'Letters since the start',
        table(
          ['Kind', 'Outcome', 'Reason', 'Count'],
          letters.map(({ kind, outcome, reason, count }) => [kind, outcome, reason ?? '', amount(count)]),
          'No letters yet.',
        ),
      ),
      section(
        'mails',
        'Mails since the start',
        table(
          ['Kind', 'Outcome', 'Count'],
          mails.map(({ kind, outcome, count }) => [kind, outcome, amount(count)]),
          'No mails yet.',
        ),
      ),
    ),
    invitesSection(lists, rooms),
    blockedSection(lists),
    events(shownEvents),
  ]
}

/**
 * @param {string} id
 * @param {string} name
 * @param {{ readonly used: number, readonly limit: number }} budget
 * @param {string} note
 */
function gauge(id, name, { used, limit }, note) {
  const text = `${amount(used)} of ${amount(limit)}`
  return el(
    'div',
    { class: 'gauge', 'data-key': id },
    el('label', { for: `gauge-${id}` }, name),
    el('meter', { id: `gauge-${id}`, min: 0, max: limit, high: limit * 0.8, value: used }, text),
    el('span', { class: 'figure' }, text),
    el('p', { class: 'note' }, note),
  )
}

/**
 * The last column contains numbers.
 * @param {readonly string[]} heads
 * @param {readonly (readonly string[])[]} rows
 * @param {string} empty
 */
function table(heads, rows, empty) {
  if (rows.length === 0) return el('p', {}, empty)
  const last = heads.length - 1
  return el(
    'table',
    {},
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        ...heads.map((head, index) =>
          el('th', { scope: 'col', class: index === last ? 'number' : null }, head),
        ),
      ),
    ),
    el(
      'tbody',
      {},
      ...rows.map((cells) =>
        el(
          'tr',
          { 'data-key': cells.slice(0, -1).join(' ') },
          ...cells.map((cell, index) => el('td', { class: index === last ? 'number' : null }, cell)),
        ),
      ),
    ),
  )
}
